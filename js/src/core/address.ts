// The server's URL, from what a widget and its kernel say and where the page is, and its scheme; the token in a page's.
// Must not know traits, nor `location`: plain fields.

export interface ServerAddress {
  /** The whole URL; empty where it has to be made from the other fields. */
  readonly url: string;
  /** A path on the page's own origin that leads to the server, behind a proxy; empty where there is none. */
  readonly base_path: string;
  /** "auto" is the host of the page. */
  readonly host: string;
  readonly port: number;
  /** Whether the port serves wss alone, whatever the page's own scheme is. */
  readonly secure: boolean;
}

/** The fields of `location` that are read here. */
export interface PageLocation {
  readonly protocol: string;
  readonly host: string;
  readonly hostname: string;
}

/** `url` comes first, then `base_path`, then host and port. A whole URL may have any scheme: that chooses the transport. */
export function serverUrl({ url, base_path, host, port, secure }: ServerAddress, page: PageLocation): string {
  if (url !== "") return url.replace(/^http/, "ws");
  const scheme = page.protocol === "https:" ? "wss:" : "ws:";
  const path = base_path.replace(/\/+$/, "");
  if (path !== "") return `${scheme}//${page.host}${path.startsWith("/") ? "" : "/"}${path}/ws`;
  const name = host === "auto" ? page.hostname || "127.0.0.1" : host;
  return `${secure ? "wss:" : scheme}//${/^[^[]*:/.test(name) ? `[${name}]` : name}:${port}/ws`; // IPv6 is in brackets
}

/** The scheme of a URL, in lower case and with its colon; empty for a relative one. */
export function schemeOf(url: string): string {
  return /^[a-z][a-z0-9+.-]*:/i.exec(url)?.[0].toLowerCase() ?? "";
}

/** The token in a page's fragment, `#token=…`; null where there is none. Each character may be as it is, but for & and %. */
export function tokenOf(fragment: string): string | null {
  const found = /(?:^#?|&)token=([^&]*)/.exec(fragment)?.[1];
  if (found === undefined) return null;
  try {
    return decodeURIComponent(found);
  } catch {
    return found;
  }
}
