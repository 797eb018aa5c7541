// What lies over the picture: status pill, badge, toolbar, statistics, and the message where there is no picture.
// Must not know the connection: it gets statuses and numbers, and reports what was pressed.

import { badge, MODES, messageText, noteText, pillText, statsRows, statusRows } from "../core/hud";
import type { ViewStats, ViewStatus } from "../core/ports";
import { sentence } from "../core/reasons";
import type { ViewMode } from "../core/wire";
import { iconButton, make } from "./dom";

export interface ChromeActions {
  setMode(mode: ViewMode): void;
  screenshot(): void;
  fullscreen(): void;
}

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
    this.pill.title = sentence(status.reason, status.mode);
    this.message_text.textContent = messageText(status);
    this.message.hidden = this.message_text.textContent === "";
    this.note.textContent = noteText(status);
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
    for (const [value, text] of Object.entries(MODES)) this.modes.append(new Option(text, value, false, value === mode));
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
    const drawn = status === undefined || stats === undefined ? undefined : badge(status, stats);
    this.badge.hidden = drawn === undefined;
    if (drawn === undefined) return;
    this.badge.classList.toggle("framewire-wrong", drawn.wrong);
    this.badge.title = drawn.title;
    this.badge.textContent = drawn.text;
  }

  private drawHud(): void {
    const { last_status: status, last_stats: stats } = this;
    if (this.hud.hidden || status === undefined) return;
    const rows = [...statusRows(status), ...(stats === undefined ? [] : statsRows(stats))];
    // Not a definition list: notebooks style those in their own way.
    this.hud.replaceChildren(...rows.flatMap(([name, value]) => [make("span", "framewire-hud-name", name), make("span", "", value)]));
  }
}
