"use strict";
document.documentElement.classList.add("js");

const photos = [...document.querySelectorAll(".photo")].map((photo) => {
  const buttons = [...photo.querySelectorAll("button[data-choice]")];
  const choose = (choice) => {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.choice === choice));
    for (const part of photo.querySelectorAll(".layer[data-choice], .error")) part.hidden = part.dataset.choice !== choice;
  };
  for (const button of buttons) button.addEventListener("click", () => choose(button.dataset.choice));
  choose("0");
  const stack = photo.querySelector(".stack");
  const range = stack.querySelector("input");
  const cut = () => stack.style.setProperty("--cut", `${range.value}%`);
  range.addEventListener("input", cut);
  cut();
  return { buttons, choose };
});

// What belongs to reports says so in data-of: tokens "d<device>.f<format>", any of which is enough.
const filtered = [...document.querySelectorAll("[data-of]")].map((part) => [part, part.dataset.of.split(" ")]);
const rows = document.querySelectorAll(".reports tr[data-of]");
const menus = Object.fromEntries([...document.querySelectorAll("[data-filter]")].map((menu) => [menu.dataset.filter, menu]));
const filter = () => {
  const device = menus.device.value && `${menus.device.value}.`;
  const format = menus.format.value && `.${menus.format.value}`;
  for (const [part, tokens] of filtered) {
    part.classList.toggle("off", !tokens.some((token) => token.startsWith(device) && token.endsWith(format)));
  }
  for (const { buttons, choose } of photos) {
    const left = buttons.filter((button) => !button.classList.contains("off"));
    const chosen = left.find((button) => button.getAttribute("aria-pressed") === "true") ?? left[0];
    if (chosen) choose(chosen.dataset.choice);
  }
  const shown = [...rows].filter((row) => !row.classList.contains("off")).length;
  document.querySelector("[data-count]").textContent = `${shown} of ${rows.length} reports`;
};
for (const menu of Object.values(menus)) menu.addEventListener("change", filter);
filter(); // a browser may have kept what was chosen before a reload
