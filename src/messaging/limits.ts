// Every limit of AMQP in one place.

export const messagingLimits = {
  hostsMax: 16, // of a transport_url
  topicsMax: 8,
  connectMs: 10_000, // from the socket to the open channel, for each host
  confirmMs: 30_000, // for the broker to confirm a batch; a broker that has blocked us counts as away
  closeMs: 2000,
  messageBytesMax: 1024 * 1024,
  frameBytesMax: 131_072,
  incomingMessageBytesMax: 1024 * 1024, // nobody has anything to send to us here
} as const;
