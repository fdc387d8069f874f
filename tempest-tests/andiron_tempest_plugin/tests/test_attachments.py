"""An attachment's connection_info is an NBD export under a secret name, which lives as long as the attachment."""

import json

from tempest.api.volume import base
from tempest.lib.common.utils import test_utils
from tempest.lib import decorators

from andiron_tempest_plugin.tests import nbd_client

# 32 random bytes in base64
NAME_LENGTH = 43


class AttachmentsTest(base.BaseVolumeTest):
    volume_min_microversion = "3.27"
    volume_max_microversion = "latest"

    def attach(self, volume):
        connector = {"host": "compute1", "ip": "127.0.0.1", "platform": "x86_64", "os_type": "linux", "multipath": False}
        body = {"attachment": {"volume_uuid": volume["id"], "connector": connector}}
        resp, text = self.volumes_client.post("attachments", json.dumps(body))
        self.volumes_client.expected_success(200, resp.status)
        attachment = json.loads(text)["attachment"]
        self.addCleanup(test_utils.call_and_ignore_notfound_exc, self.detach, attachment)
        return attachment

    def detach(self, attachment):
        self.volumes_client.delete("attachments/%s" % attachment["id"])

    def is_served(self, connection_info):
        host, port = connection_info["hosts"][0], int(connection_info["ports"][0])
        return nbd_client.has_export(host, port, connection_info["name"])

    @decorators.idempotent_id("8d6b8cf1-9c2f-4b1e-93f5-21f2a3b2b6d1")
    def test_export_dies_with_its_attachment(self):
        volume = self.create_volume()
        attachment = self.attach(volume)
        first = attachment["connection_info"]
        self.assertEqual("nbd", first["driver_volume_type"])
        self.assertEqual(NAME_LENGTH, len(first["name"]))
        self.assertTrue(self.is_served(first))
        self.assertFalse(self.is_served(dict(first, name=volume["id"])))

        self.detach(attachment)
        self.assertFalse(self.is_served(first))
        second = self.attach(volume)["connection_info"]
        self.assertNotEqual(first["name"], second["name"])
        self.assertTrue(self.is_served(second))
        self.assertFalse(self.is_served(first))
