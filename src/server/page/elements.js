// What the page is made of. Every text is set as text, never as markup.
const NAME_LENGTH_MAX = 160, WORDS_LENGTH_MAX = 2000;
export const $ = (id) => document.getElementById(id);

// What could hide or reorder other text is shown by its number, and what is long is cut.
const HARMFUL = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\u{e0000}-\u{e007f}]/gu;
export const harmless = (text) => text.replace(HARMFUL, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
export const shown = (text, most = NAME_LENGTH_MAX) => {
  const cut = String(text).slice(0, most + 1);
  const whole = cut.length > most ? cut.slice(0, most) + "…" : cut;
  return harmless(whole);
};

// Elements: text children become text, `null` ones are left out.
export const make = (name, attributes, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
};
export const words = (text) => shown(text, WORDS_LENGTH_MAX);
export const told = (text) => make("bdi", {}, shown(text));
export const setText = (element, text) => { if (element.textContent !== text) element.textContent = text; };
// Draws anew only what has changed; focus, what is folded out and what is scrolled stay as they are.
export const fill = (element, key, draw) => {
  const text = JSON.stringify(key);
  if (element.drawn === text) return;
  element.drawn = text;
  const all = (selector) => [...element.querySelectorAll(selector)];
  const reached = () => all("a[href], summary, [tabindex]");
  const focused = reached().indexOf(document.activeElement);
  const open = all("details").map((it) => it.open), scrolled = all(".scroll").map((it) => it.scrollLeft);
  element.replaceChildren(...[draw()].flat().filter(Boolean));
  all("details").forEach((it, place) => { it.open = open[place] || false; });
  all(".scroll").forEach((it, place) => { it.scrollLeft = scrolled[place] || 0; });
  if (focused >= 0) reached()[focused]?.focus({ preventScroll: true });
};
