// Thrown by the codecs when the peer breaks a rule after which the stream can't be understood any more (a bad magic, an
// impossible length). The only answer is to end the connection; it is never shown to anyone but the log.

export class ProtocolViolation extends Error {
  override readonly name = "ProtocolViolation";
}
