"""Makes the tests of this package known to Tempest."""

import os

from tempest.test_discover import plugins


class AndironTempestPlugin(plugins.TempestPlugin):
    def load_tests(self):
        package = os.path.dirname(os.path.abspath(__file__))
        return os.path.join(package, "tests"), os.path.dirname(package)

    def register_opts(self, conf):
        pass

    def get_opt_lists(self):
        return []
