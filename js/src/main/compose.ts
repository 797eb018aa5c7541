// Text that no single key types: of input methods, dead keys, emoji panels, dictation. With an EditContext, where the browser has one.
// Must not know views, nor what becomes of the text.

/** https://www.w3.org/TR/edit-context/; the types of TypeScript do not have it. */
interface EditContextLike extends EventTarget {
  readonly text: string;
  updateText(start: number, end: number, text: string): void;
  updateSelection(start: number, end: number): void;
  updateControlBounds(bounds: DOMRect): void;
}

interface Editable extends HTMLElement {
  editContext?: EditContextLike | null;
}

declare const EditContext: (new () => EditContextLike) | undefined;

/** Calls `typed` with text typed on the focused `stage`; text that is being composed is temporary. Without EditContext, does nothing. */
export function composeText(stage: Editable, typed: (text: string, composing: boolean) => void, signal: AbortSignal): void {
  if (typeof EditContext === "undefined") return;
  const context = new EditContext();
  let composing = false;
  const clear = (): void => {
    context.updateText(0, context.text.length, "");
    context.updateSelection(0, 0);
  };
  const on = (type: string, act: (event: Event) => void): void => context.addEventListener(type, act, { signal });
  on("compositionstart", () => {
    composing = true;
    context.updateControlBounds(stage.getBoundingClientRect());
  });
  on("textupdate", () => {
    typed(context.text, composing);
    if (!composing) clear();
  });
  on("compositionend", (event) => {
    composing = false;
    const text = (event as CompositionEvent).data;
    if (text !== "") typed(text, false);
    clear();
  });
  // No keyboard on the screen: a finger on the view is a pointer.
  stage.inputMode = "none";
  stage.editContext = context;
}
