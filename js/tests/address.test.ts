// Where the server is, as a widget finds it. Must not know traits.
import { expect, test } from "vitest";
import { type PageLocation, schemeOf, type ServerAddress, serverUrl, tokenOf } from "../src/core/address";

const HTTP: PageLocation = { protocol: "http:", host: "lab.example:8888", hostname: "lab.example" };
const HTTPS: PageLocation = { ...HTTP, protocol: "https:" };
const url = (more: Partial<ServerAddress>, page = HTTP): string => serverUrl({ url: "", base_path: "", host: "auto", port: 8765, secure: false, ...more }, page);

test.each<[string, Partial<ServerAddress>, PageLocation, string]>([
  ["the page's host and the server's port", {}, HTTP, "ws://lab.example:8765/ws"],
  ["encrypted on an encrypted page", {}, HTTPS, "wss://lab.example:8765/ws"],
  ["encrypted on a page that is not, where the server has a certificate", { secure: true }, HTTP, "wss://lab.example:8765/ws"],
  ["another host", { host: "10.0.0.7" }, HTTP, "ws://10.0.0.7:8765/ws"],
  ["another host by IPv6", { host: "2001:db8::1" }, HTTP, "ws://[2001:db8::1]:8765/ws"],
  ["in brackets already", { host: "[::1]" }, HTTP, "ws://[::1]:8765/ws"],
  ["the page's host, by IPv6", {}, { ...HTTP, hostname: "[::1]" }, "ws://[::1]:8765/ws"],
  ["this machine, on a page without a host", {}, { ...HTTP, hostname: "" }, "ws://127.0.0.1:8765/ws"],
  ["a path of the page's origin, before host and port", { base_path: "/proxy/8765/", host: "10.0.0.7" }, HTTPS, "wss://lab.example:8888/proxy/8765/ws"],
  ["a path without its slash", { base_path: "proxy/8765" }, HTTP, "ws://lab.example:8888/proxy/8765/ws"],
  ["slashes alone are no path", { base_path: "//" }, HTTP, "ws://lab.example:8765/ws"],
  ["a whole URL, before all", { url: "wss://x/ws", base_path: "/proxy", host: "y" }, HTTP, "wss://x/ws"],
  ["a whole URL of another transport", { url: "comm:a1", base_path: "/proxy" }, HTTPS, "comm:a1"],
  ["a whole URL of http", { url: "https://x/ws" }, HTTP, "wss://x/ws"],
])("%s", (_, more, page, expected) => {
  expect(url(more, page)).toBe(expected);
});

test.each([["wss://x/ws", "wss:"], ["WS://x/ws", "ws:"], ["comm:a1", "comm:"], ["web+x.y-z:1", "web+x.y-z:"], ["/ws", ""], ["x/y:1", ""], ["1x:y", ""], ["", ""]])(
  "the scheme of %j is %j",
  (given, expected) => expect(schemeOf(given)).toBe(expected),
);

// On the left as `urllib.parse.quote(token, safe="")` has it, and so `Display.url`.
test.each([
  ["#token=plain-_.~0", "plain-_.~0"],
  ["#token=with%20spaces%2C%20and%20a%20%0Aline", "with spaces, and a \nline"],
  ["#token=%23%26%3D%3F%2F%25%2B%3B%2541", "#&=?/%+;%41"],
  ["#token=za%C5%BC%C3%B3%C5%82%C4%87%20%F0%9F%96%BC", "zażółć 🖼"],
  ["#token=%00", "\u0000"],
  ["#a=b&token=x&c=d", "x"],
  ["token=x", "x"],
  ["#token=written+by hand/é=", "written+by hand/é="],
  ["#token=100%", "100%"],
  ["#token=", ""],
])("the token of %j", (fragment, token) => {
  expect(tokenOf(fragment)).toBe(token);
});

test.each(["", "#", "#other=1", "#xtoken=1"])("there is no token in %j", (fragment) => {
  expect(tokenOf(fragment)).toBe(null);
});
