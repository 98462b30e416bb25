"use strict";
document.documentElement.classList.add("js");
for (const photo of document.querySelectorAll(".photo")) {
  const buttons = photo.querySelectorAll("button[data-choice]");
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
}
