// What lies over the picture: status pill, badge, toolbar, statistics, and the message where there is no picture.
// Must not know the connection: it gets statuses and numbers, and reports what was pressed.

import { labelOf } from "../core/codecs";
import type { ViewStats, ViewStatus } from "../core/ports";
import { sentence } from "../core/reasons";
import type { ViewMode } from "../core/wire";
import { iconButton, make } from "./dom";

export interface ChromeActions {
  setMode(mode: ViewMode): void;
  screenshot(): void;
  fullscreen(): void;
}

const MODES: readonly (readonly [ViewMode, string])[] = [
  ["auto", "Auto"],
  ["webrtc", "WebRTC"],
  ["webcodecs", "WebCodecs"],
  ["lossless", "Lossless"],
];

const SHOWING = { none: "", webrtc: "WebRTC", webcodecs: "WebCodecs", lossless: "Lossless" } as const;

const CAMERA = "M2 5h3l1.2-2h3.6L11 5h3v8H2zM8 11.2a2.4 2.4 0 1 0 0-4.8 2.4 2.4 0 0 0 0 4.8z";
const EXPAND = "M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10";
const CHART = "M2.5 13.5v-5M6.2 13.5v-11M9.9 13.5v-8M13.5 13.5V7";

export class Chrome {
  private readonly pill = make("div", "framewire-pill");
  private readonly pill_text = make("span", "framewire-pill-text");
  private readonly badge = make("div", "framewire-badge");
  private readonly note = make("div", "framewire-note");
  private readonly message = make("div", "framewire-message");
  private readonly message_text = make("p", "framewire-message-text");
  private readonly toolbar = make("div", "framewire-toolbar");
  private readonly hud = make("div", "framewire-hud");
  private readonly modes = make("select", "framewire-modes");
  private readonly hud_button: HTMLButtonElement;
  private last_status: ViewStatus | undefined;
  private last_stats: ViewStats | undefined;

  constructor(
    root: HTMLElement,
    start: { readonly mode: ViewMode; readonly show_stats: boolean },
    private readonly actions: ChromeActions,
    signal: AbortSignal,
  ) {
    this.pill.append(make("span", "framewire-dot"), this.pill_text);
    this.pill.setAttribute("role", "status");
    this.message.append(make("span", "framewire-spinner"), this.message_text);
    this.message.setAttribute("role", "status");
    this.hud.setAttribute("role", "group");
    this.hud.setAttribute("aria-label", "Statistics");
    this.hud_button = iconButton("Statistics", CHART, () => this.setHud(this.hud.hidden));
    this.buildToolbar(start.mode, signal);
    this.setHud(start.show_stats);
    root.append(this.message, this.pill, this.badge, this.hud, this.note, this.toolbar);
  }

  setHud(shown: boolean): void {
    this.hud.hidden = !shown;
    this.hud_button.setAttribute("aria-pressed", String(shown));
    this.drawHud();
  }

  status(status: ViewStatus): void {
    this.last_status = status;
    this.pill_text.textContent = pillText(status);
    const text = sentence(status.reason, status.mode);
    this.pill.title = text;
    this.message.hidden = status.showing !== "none" && status.state !== "error";
    this.message_text.textContent = this.message.hidden ? "" : text;
    // What was not asked for is shown over the picture, not only in the statistics.
    const notable = status.state === "reconnecting" || status.reason.fallback !== undefined || (status.state === "open" && status.showing !== "none");
    this.note.textContent = notable && this.message.hidden ? text : "";
    if (this.modes.value !== status.mode) this.modes.value = status.mode;
    this.drawBadge();
    this.drawHud();
  }

  stats(stats: ViewStats): void {
    this.last_stats = stats;
    this.drawBadge();
    this.drawHud();
  }

  private buildToolbar(mode: ViewMode, signal: AbortSignal): void {
    for (const [value, text] of MODES) this.modes.append(new Option(text, value, false, value === mode));
    this.modes.setAttribute("aria-label", "How the picture is sent");
    this.modes.title = "How the picture is sent";
    this.modes.addEventListener("change", () => this.actions.setMode(this.modes.value as ViewMode), { signal });
    this.toolbar.setAttribute("role", "toolbar");
    this.toolbar.setAttribute("aria-label", "View");
    this.toolbar.append(
      this.modes,
      this.hud_button,
      iconButton("Save the picture as PNG", CAMERA, () => this.actions.screenshot()),
      iconButton("Full screen", EXPAND, () => this.actions.fullscreen()),
    );
  }

  private drawBadge(): void {
    const { last_status: status, last_stats: stats } = this;
    const shown = status?.state === "negotiated" && stats !== undefined;
    this.badge.hidden = !shown;
    if (!shown) return;
    const late = stats.latency_ms === undefined ? "" : `${Math.max(0, stats.latency_ms).toFixed(0)} ms`;
    const exact = status.showing === "lossless" && stats.exact > 0;
    this.badge.classList.toggle("framewire-wrong", stats.mismatched > 0);
    this.badge.title = exact ? `${stats.exact} frames checked, every pixel as published; ${stats.mismatched} wrong` : "Frames a second, and the median time from publish to paint";
    const wrong = stats.mismatched > 0 ? `${stats.mismatched} wrong` : "";
    this.badge.textContent = [exact && wrong === "" ? "exact" : "", wrong, `${stats.fps.toFixed(0)} fps`, late].filter(Boolean).join(" · ");
  }

  private drawHud(): void {
    const { last_status: status, last_stats: stats } = this;
    if (this.hud.hidden || status === undefined) return;
    const rows = [...statusRows(status), ...(stats === undefined ? [] : statsRows(stats))];
    // Not a definition list: notebooks style those in their own way.
    this.hud.replaceChildren(...rows.flatMap(([name, value]) => [make("span", "framewire-hud-name", name), make("span", "", value)]));
  }
}

function pillText({ state, showing, codec }: ViewStatus): string {
  if (state === "error") return "Stopped";
  if (state === "reconnecting") return "Reconnecting";
  if (state === "connecting") return "Connecting";
  if (state === "open") return "Waiting";
  const name = SHOWING[showing];
  return codec === undefined || showing === "lossless" ? name : `${name} · ${labelOf(codec)}`;
}

type Row = readonly [name: string, value: string];

function statusRows(status: ViewStatus): readonly Row[] {
  const { showing, codec, size, reason, stream } = status;
  return [
    ["stream", stream],
    ["mode", showing === "none" || showing === status.mode ? status.mode : `${status.mode} → ${showing}`],
    ["why", sentence(reason, status.mode)],
    ["codec", showing === "lossless" ? "bit-exact" : codec === undefined ? "–" : labelOf(codec)],
    ["size", size === undefined ? "–" : `${size.width} × ${size.height}`],
  ];
}

function statsRows(stats: ViewStats): readonly Row[] {
  const ms = (value: number | undefined): string => (value === undefined ? "–" : `${value.toFixed(1)} ms`);
  const mbps = (bits: number): string => `${(bits / 1e6).toFixed(2)} Mbps`;
  return [
    ["fps", `${stats.fps.toFixed(1)} of ${stats.published_fps.toFixed(1)} published, ${stats.sent_fps.toFixed(1)} sent`],
    ["latency p50", ms(stats.latency_ms)],
    ["round trip", ms(stats.rtt_ms)],
    ["encode", ms(stats.encode_ms)],
    ["bitrate", stats.target_bitrate > 0 ? `${mbps(stats.bitrate)} of ${mbps(stats.target_bitrate)}` : mbps(stats.bitrate)],
    ["frames", `${stats.painted} painted, ${stats.dropped} dropped`],
    ["checked", `${stats.exact} exact, ${stats.mismatched} wrong`],
    ["viewers", String(stats.viewers)],
  ];
}
