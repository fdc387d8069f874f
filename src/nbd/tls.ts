// TLS for NBD: X.509 from files' contents, 1.2 at least, started in the middle of a connection by STARTTLS.
// The server's half is made by hand: a tls.Server does not say which of the plain connections given to it became which
// of its own. So the check of the client's certificate that a tls.Server would make is made here.
// node:tls, 3 MiB, is there when the first key is loaded: most servers have none.

import type { OnReadOpts, Socket } from "node:net";
import type { SecureContext, TLSSocket, TLSSocketOptions } from "node:tls";
import { AndironError } from "../common/errors.ts";

export interface ServerTls {
  /** PEM: private key, and certificate with its chain. */
  readonly key: string | Buffer;
  readonly cert: string | Buffer;
  /** PEM: who signs clients' certificates. When given, clients must show one. */
  readonly clientCa?: string | Buffer;
}

export interface ClientTls {
  /** PEM: who signs the server's certificate. */
  readonly ca: string | Buffer;
  /** The name the server's certificate must bear. */
  readonly serverName: string;
  /** PEM: our own certificate, when the server asks for one. */
  readonly key?: string | Buffer;
  readonly cert?: string | Buffer;
}

export interface ServerTlsContext {
  readonly secureContext: SecureContext;
  readonly clientCertificateRequired: boolean;
}

/** Loads keys and certificates. Throws config_invalid when they can't be used. */
export function loadServerTls(tls: ServerTls): ServerTlsContext {
  const ca = tls.clientCa === undefined ? {} : { ca: tls.clientCa };
  const { createSecureContext } = process.getBuiltinModule("node:tls");
  try {
    const secureContext = createSecureContext({ key: tls.key, cert: tls.cert, minVersion: "TLSv1.2", ...ca });
    return { secureContext, clientCertificateRequired: tls.clientCa !== undefined };
  } catch (cause) {
    throw new AndironError("config_invalid", "the TLS key and certificates of the NBD server can't be used", { cause });
  }
}

/** node's handle under a TLS socket: the only place that knows how the peer's certificate was judged. */
interface VerifyingHandle {
  verifyError(): Error | null;
}

/** Why the client's certificate is not good enough; undefined when it is. To be asked once the handshake is over. */
export function rejectionOf(socket: TLSSocket, context: ServerTlsContext): string | undefined {
  if (!context.clientCertificateRequired) return undefined;
  const handle = (socket as unknown as { _handle: VerifyingHandle | null })._handle;
  if (handle === null) return "the connection is gone";
  return handle.verifyError()?.message;
}

/**
 * Starts the server's side of TLS on `socket`, which is paused, has nothing to write, and is a shell afterwards. The result emits
 * "secure" when the handshake is over, and reads what it deciphers by `onread`.
 */
export function upgradeServerSocket(socket: Socket, context: ServerTlsContext, onread: OnReadOpts): TLSSocket {
  const owner = socket as unknown as { _handle: object | null };
  const handle = owner._handle;
  owner._handle = null;
  const { secureContext, clientCertificateRequired } = context;
  handleSocketClass ??= makeHandleSocketClass();
  const secure = new handleSocketClass(handle, {
    isServer: true,
    secureContext,
    requestCert: clientCertificateRequired,
    rejectUnauthorized: clientCertificateRequired,
    // Missing in the published types of TLSSocketOptions.
    ...({ allowHalfOpen: true, onread } as object),
  });
  // Of none it is not connected yet.
  (secure as { connecting: boolean }).connecting = false;
  return secure;
}

type HandleSocketClass = new (handle: object | null, options: TLSSocketOptions) => TLSSocket;

/** How a TLSSocket makes its handle. */
interface HandleWrapping {
  _wrapHandle(wrap: null, handle: object, hasActiveWrite: boolean): object;
}

let handleSocketClass: HandleSocketClass | undefined;

/** A TLSSocket of a socket takes no `onread`. So this is made of none, and of the accepted handle where it would make its own. */
function makeHandleSocketClass(): HandleSocketClass {
  const { TLSSocket } = process.getBuiltinModule("node:tls");
  const wrapping = TLSSocket.prototype as unknown as HandleWrapping;
  return class extends TLSSocket {
    constructor(handle: object | null, options: TLSSocketOptions) {
      super(undefined as unknown as Socket, { ...options, ...({ acceptedHandle: handle } as object) });
    }

    _wrapHandle(): object {
      const { _tlsOptions } = this as unknown as { readonly _tlsOptions: { readonly acceptedHandle: object } };
      return wrapping._wrapHandle.call(this, null, _tlsOptions.acceptedHandle, false);
    }
  };
}
