// One view on a page: mounts video and canvas on top of each other, and connects them to the page's connection.
// Must not know how the choice between them is made, nor how the toolbar looks.

import { type Corners, type Fit, isHalved, type Point, place, type Rect, type Size, toUnit, visiblePart } from "../core/geometry";
import type { FrameProof, ViewStats, ViewStatus } from "../core/ports";
import type { Reason } from "../core/reasons";
import type { RenderviewEvent, ViewMode } from "../core/wire";
import { Chrome } from "./chrome";
import { make } from "./dom";
import { Listener } from "./listen";
import { type Connection, connect, registry } from "./page-connection";

export interface ViewOptions {
  /** Where the server is, `ws://…/ws` or `wss://…/ws`. The scheme chooses the transport. */
  readonly url: string;
  readonly token: string;
  readonly stream?: string;
  readonly mode?: ViewMode;
  readonly fit?: Fit;
  /** CSS colour of the space around the picture; "auto" follows the page. */
  readonly background?: string;
  /** False: the picture without toolbar, badge and messages. */
  readonly batteries?: boolean;
  readonly show_toolbar?: boolean;
  readonly show_stats?: boolean;
  /** True where the page has nothing else to scroll. */
  readonly wheel_always?: boolean;
  readonly onStatus?: (status: ViewStatus) => void;
  readonly onStats?: (stats: ViewStats) => void;
}

interface Transition {
  readonly at: number;
  readonly state: string;
  readonly showing: string;
  readonly reason: Reason;
}

const MAX_TRANSITIONS = 200;
const MAX_PROOFS = 600;

export class View {
  readonly element: HTMLDivElement;
  private readonly connection: Connection;
  private readonly id: number;
  private readonly abort = new AbortController();
  private readonly stage = document.createElement("div");
  private readonly picture = document.createElement("div");
  private readonly video = document.createElement("video");
  private readonly canvas = document.createElement("canvas");
  /** Points at the four corners of the picture: where they are on the page says what turns and scales it there. */
  private readonly corners = ([["0", "0"], ["100%", "0"], ["100%", "100%"], ["0", "100%"]] as const).map(makeCorner);
  private readonly chrome: Chrome | undefined;
  private listener: Listener | undefined;
  private fit: Fit;
  private stream: string;
  private last_status: ViewStatus | undefined;
  private last_stats: ViewStats | undefined;
  private readonly transitions: Transition[] = [];
  private readonly proofs: FrameProof[] = [];
  private rect: Rect = { x: 0, y: 0, width: 0, height: 0 };

  /** Mounts into `target` at once; pictures follow. Call `dispose` to end it. */
  constructor(
    target: HTMLElement,
    private readonly options: ViewOptions,
  ) {
    this.fit = options.fit ?? "contain";
    this.element = this.build();
    this.chrome = options.batteries === false ? undefined : this.buildChrome();
    target.append(this.element);
    this.connection = connect(options.url, options.token);
    const { stream = "default", mode = "auto" } = options;
    this.stream = stream;
    this.id = this.connection.openView(
      { stream, mode, visible: this.isVisible(true), canvas: this.canvas, video: this.video },
      { status: (status) => this.onStatus(status), stats: (stats) => this.onStats(stats), proofs: (proofs) => this.onProofs(proofs) },
    );
    this.watch();
    registry().views.add(this);
  }

  get status(): ViewStatus | undefined {
    return this.last_status;
  }

  get stats(): ViewStats | undefined {
    return this.last_stats;
  }

  setMode(mode: ViewMode): void {
    this.connection.post({ type: "view_mode", view: this.id, mode });
  }

  setStream(stream: string): void {
    if (stream === this.stream) return;
    this.stream = stream;
    this.listener?.close();
    this.listener?.reopen();
    this.connection.post({ type: "view_stream", view: this.id, stream });
  }

  setFit(fit: Fit): void {
    this.fit = fit;
    this.layout();
  }

  setBackground(background: string): void {
    this.stage.style.background = background === "auto" ? "" : background;
  }

  setToolbar(shown: boolean): void {
    this.element.classList.toggle("framewire-has-toolbar", shown);
  }

  setHud(shown: boolean): void {
    this.chrome?.setHud(shown);
  }

  /** The picture as a PNG: every pixel as published while lossless pictures are shown. Undefined before the first picture. */
  async screenshot(): Promise<Blob | undefined> {
    if (this.last_status?.showing !== "webrtc") return this.connection.capture(this.id);
    const coded = { width: this.video.videoWidth, height: this.video.videoHeight };
    const part = visiblePart(coded, this.frame);
    const { width, height } = isHalved(coded, this.frame) ? this.frame : part;
    const copy = new OffscreenCanvas(width, height);
    copy.getContext("2d")?.drawImage(this.video, 0, 0, part.width, part.height, 0, 0, width, height);
    return copy.convertToBlob({ type: "image/png" });
  }

  /** Ends the view. The last view of a page ends the connection. */
  dispose(): void {
    if (this.abort.signal.aborted) return;
    this.listener?.close();
    this.abort.abort();
    registry().views.delete(this);
    this.connection.closeView(this.id);
    this.connection.release();
    this.video.srcObject = null;
    this.element.remove();
  }

  /** For tests, and for people who look closer. */
  debug(): object {
    const { last_status: status, last_stats: stats, transitions, proofs } = this;
    return { id: this.id, status, stats, transitions, lossless: proofs, video: { width: this.video.videoWidth, height: this.video.videoHeight } };
  }

  private build(): HTMLDivElement {
    const root = document.createElement("div");
    root.className = "framewire";
    root.dataset.state = "connecting";
    root.dataset.showing = "none";
    this.stage.className = "framewire-stage";
    this.stage.tabIndex = 0;
    // JupyterLab ignores keys under this attribute. Without it, "b" in a game adds a cell.
    this.stage.dataset.lmSuppressShortcuts = "true";
    this.stage.setAttribute("role", "application");
    this.stage.setAttribute("aria-label", `Live picture of ${this.options.stream ?? "default"}`);
    this.setBackground(this.options.background ?? "auto");
    this.picture.className = "framewire-picture";
    this.canvas.className = "framewire-canvas";
    this.buildVideo();
    this.picture.append(this.video, this.canvas, ...this.corners);
    this.stage.append(this.picture);
    root.append(this.stage);
    return root;
  }

  private buildVideo(): void {
    const { video } = this;
    video.className = "framewire-video";
    video.muted = true;
    video.playsInline = true;
    video.autoplay = true;
    video.disablePictureInPicture = true;
    video.tabIndex = -1;
    video.addEventListener("resize", () => this.layout(), { signal: this.abort.signal });
  }

  private buildChrome(): Chrome {
    const { show_toolbar = true, show_stats = false, mode = "auto" } = this.options;
    this.setToolbar(show_toolbar);
    return new Chrome(this.element, { mode, show_stats }, {
      setMode: (chosen) => this.setMode(chosen),
      screenshot: () => void this.download(),
      fullscreen: () => void this.toggleFullscreen(),
    }, this.abort.signal);
  }

  private watch(): void {
    const { signal } = this.abort;
    const send = (event: RenderviewEvent): void => this.connection.post({ type: "view_input", view: this.id, event });
    const wheel_always = this.options.wheel_always ?? false;
    const layout = (): { frame: Size; width: number } => ({ frame: this.frame, width: this.rect.width });
    const listener = new Listener(this.stage, { locate: (point) => this.locate(point), layout, send, wheel_always }, signal);
    this.listener = listener;
    const sizes = new ResizeObserver(() => this.layout());
    sizes.observe(this.stage);
    const seen = new IntersectionObserver(([entry]) => this.reportVisible(entry?.isIntersecting ?? true));
    seen.observe(this.element);
    let on_screen = true;
    this.reportVisible = (now_on_screen = on_screen) => {
      on_screen = now_on_screen;
      const visible = this.isVisible(on_screen);
      listener.setShown(visible);
      this.connection.post({ type: "view_visible", view: this.id, visible });
    };
    document.addEventListener("visibilitychange", () => this.reportVisible(), { signal });
    signal.addEventListener("abort", () => {
      sizes.disconnect();
      seen.disconnect();
    });
  }

  private reportVisible: (on_screen?: boolean) => void = () => undefined;

  private isVisible(on_screen: boolean): boolean {
    return on_screen && document.visibilityState === "visible";
  }

  private locate(point: Point): Point | undefined {
    return toUnit(point, this.corners.map((corner) => corner.getBoundingClientRect()) as unknown as Corners);
  }

  private get frame(): Size {
    return this.last_status?.size ?? { width: this.canvas.width, height: this.canvas.height };
  }

  private onStatus(status: ViewStatus): void {
    const before = this.last_status;
    this.last_status = status;
    this.element.dataset.state = status.state;
    this.element.dataset.showing = status.showing;
    this.element.style.cursor = status.cursor;
    this.element.setAttribute("aria-label", status.title);
    if (status.showing !== "webrtc" && before?.showing === "webrtc") this.clearVideo();
    this.keepTransition(status);
    this.layout();
    this.chrome?.status(status);
    this.options.onStatus?.(status);
  }

  /** The old track's last picture must not flash up when video comes back. */
  private clearVideo(): void {
    if (this.video.srcObject instanceof MediaStream && !this.video.srcObject.active) this.video.srcObject = null;
  }

  private keepTransition({ state, showing, reason }: ViewStatus): void {
    const last = this.transitions.at(-1);
    if (last?.state === state && last.showing === showing && sameReason(last.reason, reason)) return;
    this.transitions.push({ at: this.connection.now(), state, showing, reason });
    if (this.transitions.length > MAX_TRANSITIONS) this.transitions.shift();
  }

  private onStats(stats: ViewStats): void {
    this.last_stats = stats;
    this.chrome?.stats(stats);
    this.options.onStats?.(stats);
  }

  private onProofs(proofs: readonly FrameProof[]): void {
    this.proofs.push(...proofs);
    this.proofs.splice(0, this.proofs.length - MAX_PROOFS);
  }

  private layout(): void {
    const { stage, picture, video, frame } = this;
    const box = { width: stage.clientWidth, height: stage.clientHeight };
    this.rect = place(box, frame, this.fit);
    const { x, y, width, height } = this.rect;
    Object.assign(picture.style, { left: `${x}px`, top: `${y}px`, width: `${width}px`, height: `${height}px` });
    const coded = { width: video.videoWidth, height: video.videoHeight };
    picture.classList.toggle("framewire-magnified", frame.width > 0 && width / frame.width >= 2);
    // Pixels of half the resolution are not the publisher's: they are better smoothed.
    picture.classList.toggle("framewire-halved", isHalved(coded, frame));
    if (coded.width === 0 || frame.width === 0) return;
    const part = visiblePart(coded, frame);
    Object.assign(video.style, { width: `${(100 * coded.width) / part.width}%`, height: `${(100 * coded.height) / part.height}%` });
  }

  private async download(): Promise<void> {
    const image = await this.screenshot();
    if (image === undefined) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(image);
    link.download = `${this.last_status?.stream ?? "framewire"}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  private async toggleFullscreen(): Promise<void> {
    try {
      if (document.fullscreenElement === null) await this.element.requestFullscreen();
      else await document.exitFullscreen();
    } catch {
      // An iframe without the permission: the button has no effect there.
    }
  }
}

function makeCorner([left, top]: readonly [string, string]): HTMLElement {
  const corner = make("i", "framewire-corner");
  Object.assign(corner.style, { left, top });
  return corner;
}

function sameReason(one: Reason, other: Reason): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
