// The dialog that is open in the dashboard: a form to be filled in, or a question to be confirmed. Fields are known by their
// names in the form, choices by the beginning of what is shown.

import type { Locator, Page } from "playwright-core";
import { awaitMessage } from "./messages.ts";

/** Does `action`, and resolves with the dialog that it opens, over others perhaps. */
export async function awaitDialog(page: Page, action: () => Promise<void>): Promise<Dialog> {
  await page.evaluate("document.querySelectorAll('.modal').forEach((modal) => modal.setAttribute('data-seen', ''))");
  await action();
  // One without buttons only says that something is being loaded.
  const root = page.locator(".modal.in:not([data-seen]):has(.modal-footer)").last();
  await root.waitFor();
  return new Dialog(page, root);
}

export class Dialog {
  readonly #page: Page;
  readonly #root: Locator;

  constructor(page: Page, root: Locator) {
    this.#page = page;
    this.#root = root;
  }

  get root(): Locator {
    return this.#root;
  }

  async fill(fields: Readonly<Record<string, string>>): Promise<void> {
    for (const [name, text] of Object.entries(fields)) {
      await this.#root.locator(`input[name="${name}"], textarea[name="${name}"]`).fill(text);
    }
  }

  /** Chooses in the list of that name; Horizon lays a menu of its own over the browser's. */
  async choose(name: string, shown: string): Promise<void> {
    const menu = this.#root.locator(".themable-select", { has: this.#page.locator(`select[name="${name}"]`) });
    await menu.locator("button.dropdown-toggle").click();
    const index = (await this.choices(name)).findIndex((choice) => choice.startsWith(shown));
    await menu.locator(`li[data-original-index="${index}"] a`).click();
  }

  /** What the list of that name offers. */
  async choices(name: string): Promise<string[]> {
    const shown = await this.#root.locator(`select[name="${name}"] option`).allTextContents();
    return shown.map((text) => text.trim());
  }

  /** Checks a box, or takes the mark away: the box itself is behind the mark that Horizon draws. */
  async check(name: string, checked = true): Promise<void> {
    const box = this.#root.locator(`input[type="checkbox"][name="${name}"]`);
    if ((await box.isChecked()) !== checked)
      await this.#root
        .locator(`label[for="${await box.getAttribute("id")}"]`)
        .first()
        .click();
  }

  /** Marks one of a list of boxes, by what stands beside it. */
  async mark(label: string): Promise<void> {
    await this.#root.locator("label", { hasText: label }).first().click();
  }

  /** Moves one from the list of what there is to the list of what is chosen. */
  async addMember(name: string): Promise<void> {
    const entry = this.#root.locator(".available_members > ul:visible", { hasText: name });
    await entry.first().locator('a[href="#add_remove"]').click();
  }

  async openTab(title: string): Promise<void> {
    await this.#root.locator('a[data-toggle="tab"]', { hasText: title }).click();
  }

  /** In a dialog of metadata: adds a pair. */
  async addMetadata(key: string, value: string): Promise<void> {
    const custom = this.#root.locator(".input-group", { has: this.#page.locator('input[name="customItem"]') });
    await custom.locator("input").fill(key);
    await custom.locator("button").click();
    await this.#root.locator(".list-group-item", { hasText: key }).locator("input").fill(value);
  }

  /** Presses the button that does it, and resolves with the message, which must hold `expected`. */
  submit(expected: string): Promise<string> {
    return awaitMessage(this.#page, expected, () => this.#button.click());
  }

  /** The same where there is no message: the dialog goes. */
  async save(): Promise<void> {
    await this.#button.click();
    await this.#root.waitFor({ state: "detached" });
  }

  get #button(): Locator {
    return this.#root.locator(".modal-footer").locator(".btn-primary:visible, .btn-danger:visible").last();
  }
}
