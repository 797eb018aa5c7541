// The public names of the client, and nothing else.
// Must not hold any code.

export type { Fit } from "../core/geometry";
export type { ViewState, ViewStats, ViewStatus } from "../core/ports";
export type { ViewMode } from "../core/wire";
export { View, type ViewOptions } from "./view";
