"""Adds "nbd" to the table of volume drivers of Nova's libvirt driver, when that is imported.

Nova looks a volume's driver up in nova.virt.libvirt.driver.VOLUME_DRIVERS. The table has no entry for NBD, no option adds
one, and compute_driver must be a class of Nova's own. So somebody has to put the entry into the running process:

  interpreter starts ── andiron_nova.pth ──► this module: a hook, nothing of Nova yet
  nova-compute imports nova.virt.libvirt.driver ──► the hook: import as always, then register()

Why like this. A patch of Nova's file is lost with each upgrade of Nova, and nobody says so. A launcher of ours in place of
nova-compute has to be put into the unit, container or devstack of each installation. The .pth file is a part of this package:
installing it is all there is to do, upgrades of Nova leave it alone, and removing the package removes it.

It fails loudly: when Nova has changed so that the entry cannot be made, the import of the libvirt driver fails with what to
do, and nova-compute does not start. Without this package a volume of type nbd is refused by Nova itself, when it is attached.

Every Python process of the host runs this file, so it imports no more than it needs for the hook.
"""
import importlib
import sys
from importlib.machinery import PathFinder

HOOKED = "nova.virt.libvirt.driver"
CONNECTION_TYPE = "nbd"
DRIVER = "andiron_nova.volume.LibvirtNbdVolumeDriver"


class _Hook:
    """A finder in front of the others, which answers for one module only."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != HOOKED:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        loader = spec.loader
        execute = loader.exec_module

        def execute_and_register(module):
            execute(module)
            register(module)

        loader.exec_module = execute_and_register
        return spec


def register(module):
    """Puts the driver into the table of the libvirt driver's module; ImportError when that is not possible."""
    drivers = getattr(module, "VOLUME_DRIVERS", None)
    if not isinstance(drivers, dict):
        raise ImportError(
            "andiron-nova: %s has no table VOLUME_DRIVERS, so volumes over NBD cannot be attached with this release of Nova. "
            "Install an andiron-nova that knows it, or remove andiron-nova." % HOOKED
        )
    if CONNECTION_TYPE in drivers:
        raise ImportError(
            "andiron-nova: Nova has a driver of its own for volumes over NBD (%s). Remove andiron-nova to use that one."
            % drivers[CONNECTION_TYPE]
        )
    importlib.import_module(DRIVER.rpartition(".")[0])  # what is wrong with it shall show now, not at the first attachment
    drivers[CONNECTION_TYPE] = DRIVER


sys.meta_path.insert(0, _Hook)
