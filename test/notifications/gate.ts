// A port of 127.0.0.1 that leads to a broker, to another one, or nowhere: to take the broker away and bring it back under the
// same address, which a broker of the tests does not keep.

import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

export class Gate {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #target: number | undefined;

  private constructor() {
    this.#server = createServer((socket) => this.#pass(socket));
  }

  static async open(target?: number): Promise<Gate> {
    const gate = new Gate();
    gate.#target = target;
    gate.#server.listen(0, "127.0.0.1");
    await once(gate.#server, "listening");
    return gate;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** From now on it leads to that port of 127.0.0.1. */
  leadTo(port: number): void {
    this.#target = port;
  }

  /** Breaks what is connected off, and lets nobody in. */
  cut(): void {
    this.#target = undefined;
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }

  #pass(socket: Socket): void {
    if (this.#target === undefined) {
      socket.destroy();
      return;
    }
    const inner = connect(this.#target, "127.0.0.1");
    for (const [one, other] of [
      [socket, inner],
      [inner, socket],
    ] as const) {
      this.#sockets.add(one);
      one
        .on("error", () => undefined)
        .on("close", () => {
          this.#sockets.delete(one);
          other.destroy();
        });
      one.pipe(other);
    }
  }
}
