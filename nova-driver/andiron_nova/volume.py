"""The volume driver for connections of type "nbd".

Nova's driver for network volumes already writes what libvirt needs (<source protocol="nbd" name=...> and the host), and a
detachment needs nothing on the host: the export ends with its attachment. What is added here:

- Growing a volume in use. A size is agreed when an NBD connection is made, and QEMU refuses to grow such a node. So the disk
  is given a new connection below the running guest; see extend_volume().
- Reconnection. A connection that breaks is an I/O error in the guest at once, unless the disk has a <reconnect delay=...>.
  Nova does not write that element, so it is added. libvirt 9.0 (Debian 12) takes it and does nothing; later ones pass it on.

Not supported: growing encrypted volumes (Nova itself cannot without a device on the host), disks that libvirt reaches by TLS
or a Unix socket (Nova cannot describe them), and disks while they are mirrored. Each is refused, and the volume stays usable
at its old size until it is attached anew. QEMU's monitor is used beside libvirt, which therefore marks the domain as tainted
(custom-monitor).
"""
import json

import libvirt_qemu
import nova.conf
from lxml import etree
from nova import exception
from nova import utils
from nova.compute import power_state
from nova.virt.libvirt.volume import net
from oslo_config import cfg
from oslo_log import log as logging

LOG = logging.getLogger(__name__)
CONF = nova.conf.CONF
CONF.register_opts(
    [
        cfg.IntOpt(
            "nbd_reconnect_delay",
            default=60,
            min=0,
            help="Seconds for which a guest's requests wait for a broken NBD connection to come back. 0: they fail at once.",
        )
    ],
    group="andiron",
)


class LibvirtNbdVolumeDriver(net.LibvirtNetVolumeDriver):
    def get_config(self, connection_info, disk_info):
        conf = super().get_config(connection_info, disk_info)
        delay = CONF.andiron.nbd_reconnect_delay
        if delay > 0:
            _add_reconnect(conf, delay)
        return conf

    def extend_volume(self, connection_info, instance, requested_size):
        """Has a running guest's disk connected anew, to where the volume has its new size; gives that size.

        Nova resizes the device afterwards, which QEMU then takes as it agrees with what the server says.
        """
        guest = self.host.get_guest(instance)
        if guest.get_power_state(self.host) not in (power_state.RUNNING, power_state.PAUSED):
            return requested_size  # it connects when it starts
        disk = _find_disk(guest.get_xml_desc(), connection_info["data"]["name"])
        monitor = _Monitor(guest)
        size = _reconnect(monitor, disk)
        if size != requested_size:
            raise exception.VolumeExtendFailed(
                volume_id=connection_info.get("serial"),
                reason="the NBD server shows %d bytes instead of %d" % (size, requested_size),
            )
        LOG.info("Connected %s anew, with %d bytes", disk.find("target").get("dev"), size, instance=instance)
        return requested_size


def _add_reconnect(conf, delay):
    """Makes the disk's description end its <source> with <reconnect>."""
    describe = conf.format_dom

    def format_dom():
        dom = describe()
        source = dom.find("source")
        if source is not None:
            etree.SubElement(source, "reconnect", delay=str(delay))
        return dom

    conf.format_dom = format_dom


class _Monitor:
    """QEMU's own monitor, through libvirt."""

    def __init__(self, guest):
        self._domain = guest._domain  # Nova has no public way to the monitor

    def run(self, command, **arguments):
        text = json.dumps({"execute": command, "arguments": arguments})
        replies = []
        # In a thread of its own: connecting may take a while, and nova-compute has other things to do.
        utils.tpool_execute(lambda: replies.append(libvirt_qemu.qemuMonitorCommand(self._domain, text, 0)))
        reply = json.loads(replies[0])
        if "error" in reply:
            raise exception.InternalError("QEMU refuses %s: %s" % (command, reply["error"].get("desc")))
        return reply["return"]

    def nodes(self):
        return {node["node-name"]: node for node in self.run("query-named-block-nodes", flat=True)}


def _find_disk(xml, export):
    for disk in etree.fromstring(xml).iterfind("devices/disk"):
        source = disk.find("source")
        if source is not None and source.get("protocol") == "nbd" and source.get("name") == export:
            return disk
    raise exception.DiskNotFound(location="nbd export of the volume")


def _reconnect(monitor, disk):
    """Replaces the disk's connection, and gives the size that the server shows now.

    libvirt has built   device ── libvirt-N-format (raw) ── libvirt-N-storage (nbd)   and will ask for these two names, so:

      1. connect once more, under another name; have the raw node read and write there; close the first connection
      2. the same again with the name that libvirt knows

    QEMU lets requests end before it changes a node, and new ones wait meanwhile. What was written but not flushed needs no
    care: a flush over the new connection covers what the server acknowledged on the old one. When a step fails, the disk
    has the connection that it had before that step.
    """
    source = disk.find("source")
    index = source.get("index")
    upper, lower, other = ("libvirt-%s-format" % index, "libvirt-%s-storage" % index, "andiron-%s-storage" % index)
    nodes = monitor.nodes()
    current = _clean_up(monitor, nodes, lower, other)
    drivers = [nodes.get(name, {}).get("drv") for name in (upper, current)]
    if drivers != ["raw", "nbd"] or disk.find("mirror") is not None:
        raise exception.ExtendVolumeNotSupported()  # encrypted, being mirrored, or libvirt builds its disks in another way
    connection = _describe_connection(source)
    common = _describe_common(disk)
    for new, old in [(other, lower), (lower, other)] if current == lower else [(lower, other)]:
        monitor.run("blockdev-add", **{"driver": "nbd", "node-name": new}, **connection, **common)
        try:
            monitor.run("blockdev-reopen", options=[{"driver": "raw", "node-name": upper, "file": new, **common}])
        except Exception:
            monitor.run("blockdev-del", **{"node-name": new})
            raise
        monitor.run("blockdev-del", **{"node-name": old})
    return monitor.nodes()[lower]["image"]["virtual-size"]


def _clean_up(monitor, nodes, lower, other):
    """Removes what an earlier attempt has left when it ended half way; gives the name of the node that is in use."""
    if other not in nodes:
        return lower
    if lower not in nodes:
        return other
    try:
        monitor.run("blockdev-del", **{"node-name": other})  # refused when it is in use
        return lower
    except exception.InternalError:
        monitor.run("blockdev-del", **{"node-name": lower})
        return other


def _describe_connection(source):
    hosts = source.findall("host")
    if source.get("tls") == "yes" or len(hosts) != 1 or hosts[0].get("transport", "tcp") != "tcp":
        raise exception.ExtendVolumeNotSupported()
    connection = {
        "server": {"type": "inet", "host": hosts[0].get("name"), "port": hosts[0].get("port")},
        "export": source.get("name"),
    }
    reconnect = source.find("reconnect")
    if reconnect is not None:
        connection["reconnect-delay"] = int(reconnect.get("delay"))
    return connection


def _describe_common(disk):
    """What libvirt says of both nodes, from the disk's description: a node that is opened anew forgets the rest."""
    driver = disk.find("driver")
    cache = driver.get("cache", "default")
    common = {
        "cache": {"direct": cache in ("none", "directsync"), "no-flush": cache == "unsafe"},
        "read-only": disk.find("readonly") is not None,
    }
    for name, attribute in (("discard", "discard"), ("detect-zeroes", "detect_zeroes")):
        if driver.get(attribute) is not None:
            common[name] = driver.get(attribute)
    return common
