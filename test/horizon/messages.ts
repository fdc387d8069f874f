// What the dashboard says after an action, at the top of the page; or in the dialog, when it does not take a form.

import type { Page } from "playwright-core";

const messages =
  "body > .messages .alert, #main_content .messages .alert, .messages .alert, .toast-container .alert, toast .alert";
const formErrors = ".modal.in .alert-danger, .modal.in .has-error";

/** Does `action`, and resolves with the message that holds `expected`. Rejects with any other one, and with a form's errors. */
export async function awaitMessage(page: Page, expected: string, action: () => Promise<void>): Promise<string> {
  await page.evaluate("document.querySelectorAll('.messages .alert').forEach((alert) => alert.remove())");
  await action();
  const first = page.locator(`${messages}, ${formErrors}`).first();
  await first.waitFor();
  const said = await saidOn(page);
  const found = said.find((text) => text.includes(expected));
  if (found !== undefined && !said.some((text) => text.startsWith("Error:"))) return found;
  throw new Error(`the dashboard says ${JSON.stringify(said)}, not ${JSON.stringify(expected)}`);
}

/** The messages that are shown now, those of a form too. */
export async function saidOn(page: Page): Promise<string[]> {
  const texts = await page.locator(`${messages}, ${formErrors}`).allInnerTexts();
  return texts.map((text) => text.replaceAll(/\s+/g, " ").replace(/^× ?/, "").trim()).filter((text) => text !== "");
}
