// What the theme leaves out for those who use a keyboard or a screen reader.
"use strict";

// Code and tables that are wider than the page: reached by Tab, scrolled by arrows, and with a name.
function named(each) {
  if (each.matches("pre")) return "Code";
  const caption = each.querySelector("caption")?.innerText;
  if (caption) return caption;
  const heading = each.closest("section")?.querySelector(":is(h1, h2, h3, h4)");
  return "Table" + (heading ? ": " + heading.firstChild.textContent.trim() : "");
}

function reached(each) {
  const wide = each.scrollWidth > each.clientWidth || each.scrollHeight > each.clientHeight;
  if (!wide) return ["tabindex", "role", "aria-label"].forEach((name) => each.removeAttribute(name));
  each.tabIndex = 0;
  each.setAttribute("role", "group");
  each.setAttribute("aria-label", named(each));
}

// The theme opens its two drawers by labels of boxes that are not displayed, so no key reaches them.
function pressed(label, words) {
  const box = document.getElementById(label.htmlFor);
  const told = () => label.setAttribute("aria-expanded", box.checked);
  label.tabIndex = 0;
  label.setAttribute("role", "button");
  label.setAttribute("aria-label", words);
  label.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    box.click();
  });
  box.addEventListener("change", told);
  told();
}

document.addEventListener("DOMContentLoaded", () => {
  const seen = new ResizeObserver((entries) => entries.forEach((entry) => reached(entry.target)));
  document.querySelectorAll("pre, .table-wrapper").forEach((each) => seen.observe(each));
  document.querySelectorAll(".nav-overlay-icon").forEach((each) => pressed(each, "Pages of this site"));
  document.querySelectorAll(".toc-overlay-icon").forEach((each) => pressed(each, "Contents of this page"));
});
