"""What only this service says: why no pool was good enough, and whether it is in service."""

from tempest.api.volume import base
from tempest import config
from tempest.lib import decorators

CONF = config.CONF
MORE_THAN_THERE_IS = ">= 999999999"


class UserMessagesTest(base.BaseVolumeAdminTest):
    volume_min_microversion = "3.5"
    volume_max_microversion = "latest"

    @decorators.idempotent_id("e1a52f0b-3d64-4d0a-9b57-0a8f6e7c4c21")
    def test_message_names_filter_and_figures_of_each_pool(self):
        wanted = {"capabilities:free_capacity_gb": MORE_THAN_THERE_IS}
        huge = self.create_volume_type(extra_specs=wanted)
        volume = self.create_volume(volume_type=huge["id"], wait_until="error")
        messages = self.messages_client.list_messages()["messages"]
        (said,) = [message["user_message"] for message in messages if message["resource_uuid"] == volume["id"]]
        self.assertTrue(said.startswith("schedule allocate volume:"), said)
        for pool in CONF.volume.backend_names:
            figures = r'%s: CapabilitiesFilter: free_capacity_gb is [\d.]+, not "%s"' % (pool, MORE_THAN_THERE_IS)
            self.assertRegex(said, figures)


class HealthTest(base.BaseVolumeTest):
    @decorators.idempotent_id("b7d3b1a4-52b1-4c0c-8d5b-d1f4f4b1b0c3")
    def test_health_is_told_to_anybody(self):
        root = self.volumes_client.base_url.split("/v3")[0]
        resp, body = self.volumes_client.raw_request(root + "/healthcheck", "GET", headers={})
        self.assertEqual((200, "OK"), (resp.status, body.decode().strip()))
