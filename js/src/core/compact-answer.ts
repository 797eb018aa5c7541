// An SDP answer without what all its media sections repeat, so that one for many tracks fits a message of the contract.
// Must not know peers, messages or sockets.

/** Attributes that hold for every section when they stand before the first: RFC 8839 §4.3, RFC 8122 §5, RFC 4145 §4,
 * RFC 8285 §5, RFC 8866 §6.7. */
const SHARED = ["a=ice-ufrag:", "a=ice-pwd:", "a=ice-options:", "a=fingerprint:", "a=setup:", "a=extmap:", "a=recvonly"];

const DIRECTIONS = ["a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive"];

/** The same answer, with attributes that all sections have moved to the session. What the session says already stays as
 * it is: Firefox writes a direction there, and another one in each section, which overrides it. */
export function compactAnswer(sdp: string): string {
  const [head = "", ...sections] = sdp.split(/^(?=m=)/m);
  const said = new Set(head.split("\r\n").map(nameOf));
  const lines = sections.map((section) => section.split("\r\n"));
  const isShared = (line: string) => isSharable(line) && !said.has(nameOf(line)) && lines.every((section) => section.includes(line));
  const shared = (lines[0] ?? []).filter(isShared);
  const own = lines.map((section) => section.filter((line) => !shared.includes(line)).join("\r\n"));
  return [head, ...shared.map((line) => `${line}\r\n`), ...own].join("");
}

function isSharable(line: string): boolean {
  return SHARED.some((attribute) => line.startsWith(attribute));
}

/** The directions are one attribute with four names. */
function nameOf(line: string): string {
  return DIRECTIONS.includes(line) ? "direction" : (line.split(":", 1)[0] ?? line);
}
