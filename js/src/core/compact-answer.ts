// An SDP answer without what all its media sections repeat, so that one for many tracks fits a message of the contract.
// Must not know peers, messages or sockets.

/** Attributes that hold for every section when they stand before the first: RFC 8839 §4.3, RFC 8122 §5, RFC 4145 §4,
 * RFC 8285 §5, RFC 8866 §6.7. */
const SHARED = ["a=ice-ufrag:", "a=ice-pwd:", "a=ice-options:", "a=fingerprint:", "a=setup:", "a=extmap:", "a=recvonly"];

/** The same answer, with attributes that all sections have moved to the session. */
export function compactAnswer(sdp: string): string {
  const [head = "", ...sections] = sdp.split(/^(?=m=)/m);
  const lines = sections.map((section) => section.split("\r\n"));
  const shared = (lines[0] ?? []).filter((line) => isSharable(line) && lines.every((section) => section.includes(line)));
  const own = lines.map((section) => section.filter((line) => !shared.includes(line)).join("\r\n"));
  return [head, ...shared.map((line) => `${line}\r\n`), ...own].join("");
}

function isSharable(line: string): boolean {
  return SHARED.some((attribute) => line.startsWith(attribute));
}
