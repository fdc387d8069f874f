"""Puts andiron_nova.pth beside the package: setuptools has no option for a file at the top of site-packages."""
import os

import setuptools
from setuptools.command.build_py import build_py


class BuildWithPth(build_py):
    def run(self):
        super().run()
        self.copy_file("andiron_nova.pth", os.path.join(self.build_lib, "andiron_nova.pth"))


setuptools.setup(cmdclass={"build_py": BuildWithPth})
