// The texts that lie over a picture: status pill, badge, note, message, and the rows of the statistics.
// Must not know elements.

import { labelOf } from "./codecs";
import type { ViewStats, ViewStatus } from "./ports";
import { sentence } from "./reasons";
import type { ViewMode } from "./wire";

/** The modes of a view by the names that people read, in the order of the menu. */
export const MODES: Readonly<Record<ViewMode, string>> = { auto: "Auto", webrtc: "WebRTC", webcodecs: "WebCodecs", lossless: "Lossless" };
const UNKNOWN = "–";

export function isViewMode(name: string): name is ViewMode {
  return Object.hasOwn(MODES, name);
}

/** In the corner, always: what carries the picture, or why there is none. */
export function pillText({ state, showing, codec }: ViewStatus): string {
  if (state === "error") return "Stopped";
  if (state === "reconnecting") return "Reconnecting";
  if (state === "connecting") return "Connecting";
  if (state === "open") return "Waiting";
  const name = showing === "none" ? "" : MODES[showing];
  return codec === undefined || showing === "lossless" ? name : `${name} · ${labelOf(codec)}`;
}

/** The text in the middle of the view; empty while a picture is shown. */
export function messageText({ showing, state, reason, mode }: ViewStatus): string {
  return showing === "none" || state === "error" ? sentence(reason, mode) : "";
}

/** Under the picture: why the view shows something else than asked; empty where it does not. */
export function noteText(status: ViewStatus): string {
  if (messageText(status) !== "") return "";
  const notable = status.state === "reconnecting" || status.reason.fallback !== undefined || status.state === "open";
  return notable ? sentence(status.reason, status.mode) : "";
}

export interface Badge {
  readonly text: string;
  readonly title: string;
  /** At least one frame failed its checksum. It was not shown. */
  readonly wrong: boolean;
}

/** The newest numbers in a few words; undefined while there is no picture. Of an exact picture at rest, no more than that. */
export function badge({ state, showing }: ViewStatus, stats: ViewStats): Badge | undefined {
  if (state !== "negotiated") return undefined;
  const { exact, mismatched, fps, latency_ms } = stats;
  const checked = showing === "lossless" && exact > 0;
  const words = mismatched > 0 ? [`${mismatched} wrong`] : checked ? ["exact"] : [];
  const late = latency_ms === undefined ? [] : [`${Math.max(0, latency_ms).toFixed(0)} ms`];
  return {
    text: (checked && fps < 0.5 ? words : [...words, `${fps.toFixed(0)} fps`, ...late]).join(" · "),
    title: checked ? `${exact} frames checked, every pixel as published; ${mismatched} wrong` : "Frames a second, and the median time from publish to paint",
    wrong: mismatched > 0,
  };
}

type Row = readonly [name: string, value: string];

export function statusRows({ showing, codec, size, reason, stream, mode }: ViewStatus): readonly Row[] {
  return [
    ["stream", stream],
    ["mode", showing === "none" || showing === mode ? mode : `${mode} → ${showing}`],
    ["why", sentence(reason, mode)],
    ["codec", showing === "lossless" ? "bit-exact" : codec === undefined ? UNKNOWN : labelOf(codec)],
    ["size", size === undefined ? UNKNOWN : `${size.width} × ${size.height}`],
  ];
}

export function statsRows(stats: ViewStats): readonly Row[] {
  const ms = (value: number | undefined): string => (value === undefined ? UNKNOWN : `${value.toFixed(1)} ms`);
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
