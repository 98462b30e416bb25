/** Elements of the page by id, and the one piece of work that the worker does at a time. */

export function element<T extends HTMLElement>(id: string, kind: abstract new (...args: never[]) => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${id}`);
  return found;
}

export function show(id: string, shown: boolean): void {
  element(id, HTMLElement).hidden = !shown;
}

/** Which panel works: its cancel and progress are shown, and both panels' buttons wait. */
export class Work {
  private current: "photo" | "measure" | null = null;
  measurable = true;

  begin(panel: "photo" | "measure"): boolean {
    if (this.current) return false;
    this.current = panel;
    this.render();
    return true;
  }

  end(): void {
    this.current = null;
    this.render();
  }

  render(): void {
    for (const panel of ["photo", "measure"] as const) {
      show(`${panel}-cancel`, this.current === panel);
      show(`${panel}-progress`, this.current === panel);
    }
    const busy = this.current !== null;
    for (const id of ["pick", "model", "save-jpeg", "save-png"])
      (element(id, HTMLElement) as HTMLInputElement).disabled = busy;
    element("measure", HTMLButtonElement).disabled = busy || !this.measurable;
  }
}
