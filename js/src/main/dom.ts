// Small helpers that make elements: text is always text, never markup.
// Must not know what the elements are for.

const SVG = "http://www.w3.org/2000/svg";

export function make<K extends keyof HTMLElementTagNameMap>(tag: K, name: string, text = ""): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  element.className = name;
  if (text !== "") element.textContent = text;
  return element;
}

/** A line drawing on a grid of 16 x 16 units; `path` is the `d` attribute of an SVG path. */
export function icon(path: string): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  for (const [name, value] of Object.entries({ viewBox: "0 0 16 16", width: "16", height: "16", "aria-hidden": "true" })) svg.setAttribute(name, value);
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

export function iconButton(label: string, path: string, act: () => void): HTMLButtonElement {
  const button = make("button", "framewire-button");
  button.type = "button";
  button.title = label;
  button.setAttribute("aria-label", label);
  button.append(icon(path));
  button.addEventListener("click", act);
  return button;
}
