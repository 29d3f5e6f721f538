// Everything that is wrong with a page, in words: what a screen reader, a keyboard and a narrow screen need.
const faults = [];
const all = (selector) => Array.from(document.querySelectorAll(selector));
const is = (right, fault) => { if (!right) { faults.push(fault); } };
const told = (element) => element.id || element.name || element.textContent.trim().slice(0, 40) || element.tagName;
const seen = (element) => element.checkVisibility({ checkVisibilityCSS: true }) && element.getClientRects().length > 0;

is(document.documentElement.lang === "en", "the language is not said");
is(document.title.length > 12, "it has no title");
is(all("h1").filter(seen).length === 1, `it has ${all("h1").length} first headings`);
is(all("main").length === 1, "it has not one main part");
is(document.documentElement.scrollWidth <= document.documentElement.clientWidth, "it is wider than the screen");

for (const element of all("main *").filter(seen)) {
  const clipped = element.closest("svg, .hidden, thead") || element.matches("input, select, textarea, progress");
  is(clipped || element.scrollWidth <= element.clientWidth + 1 || element.clientWidth === 0, `${told(element)} is cut off`);
}

const ids = all("[id]").map((element) => element.id);
ids.filter((id, index) => ids.indexOf(id) !== index).forEach((id) => is(false, `the id ${id} is there twice`));
for (const attribute of ["aria-describedby", "aria-labelledby"]) {
  for (const element of all(`[${attribute}]`)) {
    element.getAttribute(attribute).trim().split(/\s+/).forEach((id) => is(document.getElementById(id), `${told(element)}: no ${id}`));
  }
}

for (const input of all("input:not([type=hidden]), select, textarea")) {
  is(Array.from(input.labels).some((label) => label.textContent.trim() !== ""), `${told(input)} has no label`);
}
for (const control of all("a, button")) {
  is((control.textContent.trim() || control.getAttribute("aria-label")) && control.tabIndex >= 0, `${told(control)}: no name`);
}
for (const control of all("button, .button, input:not([type=hidden]):not([type=radio]), select").filter(seen)) {
  is(control.getBoundingClientRect().height >= 36, `${told(control)} is too low for a finger`);
}
for (const cell of all("th")) { is(cell.scope, `${told(cell)} heads nothing`); }
let level = 0;
for (const heading of all("h1, h2, h3, h4").filter(seen)) {
  const next = Number(heading.tagName[1]);
  is(next <= level + 1, `${told(heading)} leaves out a level`);
  level = next;
}

// WCAG's contrast of each text with what is behind it.
const numbers = (color) => color.match(/[\d.]+/g).map(Number);
const luminance = (rgb) => rgb.slice(0, 3)
  .map((part) => part / 255)
  .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
  .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
const behind = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const color = numbers(getComputedStyle(at).backgroundColor);
    if (color.length === 3 || color[3] === 1) { return color; }
  }
  return [255, 255, 255];
};
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const element = texts.currentNode.parentElement;
  if (texts.currentNode.data.trim() === "" || element.closest("svg, script, noscript, option") || !seen(element)) { continue; }
  const [text, ground] = [numbers(getComputedStyle(element).color), behind(element)].map(luminance);
  const contrast = (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
  is(contrast >= 4.5 || element.closest(":disabled"), `${told(element)} is hard to read: ${contrast.toFixed(1)}`);
}
return faults;
