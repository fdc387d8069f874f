"""Clones share their origin's data, and outlive it: whatever is deleted, in any order."""

from tempest.api.volume import base
from tempest.lib import decorators


class LineageTest(base.BaseVolumeTest):
    def remove(self, client, resource):
        delete = getattr(client, "delete_snapshot" if client is self.snapshots_client else "delete_volume")
        delete(resource["id"])
        client.wait_for_resource_deletion(resource["id"])

    def clone(self, origin):
        return self.create_volume(source_volid=origin["id"], size=origin["size"])

    @decorators.idempotent_id("5a4d8a0f-7c7e-4f1c-8a39-6a0b7e1f2d55")
    def test_clone_outlives_its_snapshot_and_its_volume(self):
        parent = self.create_volume()
        snapshot = self.create_snapshot(parent["id"])
        child = self.create_volume(snapshot_id=snapshot["id"], size=parent["size"] + 1)
        self.remove(self.snapshots_client, snapshot)
        self.remove(self.volumes_client, parent)

        shown = self.volumes_client.show_volume(child["id"])["volume"]
        self.assertEqual(("available", parent["size"] + 1), (shown["status"], shown["size"]))
        self.assertEqual(snapshot["id"], shown["snapshot_id"])
        self.clone(child)

    @decorators.idempotent_id("0c5c1f2d-3f0e-4a56-b1b4-5d1e9d3b7a10")
    def test_generations_are_deleted_in_any_order(self):
        for order in ((1, 0, 2), (0, 2, 1), (2, 1, 0)):
            generations = [self.create_volume()]
            for _ in order[1:]:
                generations.append(self.clone(generations[-1]))
            for place in order:
                self.remove(self.volumes_client, generations[place])
