// One device on a Unix socket, as the NBD export "volume": how qemu-img gets at a volume without learning the secret name of its
// real export. Who may connect is decided by the directory that the socket is in. What the device fails with is kept, since
// the other end is only told a number.

import { chmod } from "node:fs/promises";
import type { Clock } from "../common/clock.ts";
import { AndironError } from "../common/errors.ts";
import type { BlockDevice, ExportDirectory } from "../engine/device.ts";
import { NbdServer } from "../nbd/server.ts";

export const socketExportName = "volume";

export interface DeviceSocket {
  /** The first error of the device; undefined when it had none. */
  failure(): unknown;
  /** Cuts what is connected. The device stays open. */
  close(): Promise<void>;
}

const connectionsMax = 16;

/** Listens at `path`, which must not be there. `mode`: of the socket. */
export async function serveDevice(device: BlockDevice, path: string, mode: number, clock: Clock): Promise<DeviceSocket> {
  let failure: unknown;
  const noted = async <T>(work: Promise<T> | undefined): Promise<T | undefined> => {
    try {
      return await work;
    } catch (error) {
      failure ??= error;
      throw error;
    }
  };
  const watched: BlockDevice = {
    sizeBytes: device.sizeBytes,
    readOnly: device.readOnly,
    read: (offset, target) => noted(device.read(offset, target)),
    write: (offset, data, options) => noted(device.write(offset, data, options)),
    flush: () => noted(device.flush()),
    trim: (offset, lengthBytes, options) => noted(device.trim(offset, lengthBytes, options)),
    writeZeroes: (offset, lengthBytes, options) => noted(device.writeZeroes(offset, lengthBytes, options)),
    cache: (offset, lengthBytes) => noted(device.cache(offset, lengthBytes)),
    extents: (offset, lengthBytes, countMax) => device.extents(offset, lengthBytes, countMax),
  };
  const directory: ExportDirectory = {
    async open(exportName) {
      if (exportName !== socketExportName) throw new AndironError("export_not_found", "no such export");
      const nothing = (): undefined => undefined;
      return { device: watched, description: "", onRevoked: nothing, clientGone: nothing, close: async () => undefined };
    },
  };
  const server = new NbdServer({
    listen: [{ path }],
    directory,
    clock,
    limits: { connectionsMax, handshakesMax: connectionsMax },
  });
  await server.start();
  await chmod(path, mode);
  return { failure: () => failure, close: () => server.stop() };
}
