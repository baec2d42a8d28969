// Wires the page: theme, filters, controls.

function applyFilters() {
  const form = document.getElementById("filters");
  for (const name of Object.keys(chosen)) chosen[name] = form.elements[name]?.value ?? "all";
  if (chosen.series !== "all") document.getElementById("agreement-series").value = chosen.series;
  const rows = shownRows();
  const images = new Set(rows.map((row) => PREDICTIONS.item[row])).size;
  document.getElementById("shown").textContent = `${rows.length} predictions of ${images} images`;
  listStart = 0;
  agreementTable();
  drawGallery();
  drawList();
  redraw();
}

function isDark() {
  const theme = document.documentElement.dataset.theme;
  return theme ? theme === "dark" : window.matchMedia("(prefers-color-scheme: dark)").matches;
}

function nameTheme() {
  document.getElementById("theme").textContent = isDark() ? "Light colours" : "Dark colours";
}

document.getElementById("theme").addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  nameTheme();
  redraw();
});
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  nameTheme();
  redraw();
});
nameTheme();

if (PREDICTIONS) {
  makeSortable(document.getElementById("headline"));
  addPlot("distribution", distribution);
  addPlot("curves", learningCurves);
  addPlot("success", success);
  for (const name of LENGTHS) addPlot(`agreement-${name}`, () => blandAltman(name));
  addPlot("sizes", sizes);
  const form = document.getElementById("filters");
  form.addEventListener("change", applyFilters);
  // The fields have their first values only after the event.
  form.addEventListener("reset", () => setTimeout(applyFilters));
  form.addEventListener("submit", (event) => event.preventDefault());
  for (const id of ["distribution-unit", "distribution-axis"]) document.getElementById(id).addEventListener("change", () => redraw("distribution"));
  for (const id of ["curves-panel", "curves-axis"]) document.getElementById(id)?.addEventListener("change", () => redraw("curves"));
  document.getElementById("agreement-series").addEventListener("change", () => redraw(...LENGTHS.map((name) => `agreement-${name}`)));
  const boxes = [...document.querySelectorAll(".draw input")];
  const draw = (kind, shown) => {
    // The gallery and the dialog have the same choice.
    for (const box of boxes) if (box.dataset.kind === kind) box.checked = shown;
    document.body.classList.toggle(`no-${kind}`, !shown);
  };
  for (const box of boxes) {
    box.addEventListener("change", () => draw(box.dataset.kind, box.checked));
    // A browser that opens a page again may keep what was checked.
    draw(box.dataset.kind, box.checked);
  }
  document.getElementById("case-close").addEventListener("click", () => document.getElementById("case").close());
  document.getElementById("list-search").addEventListener("input", () => { listStart = 0; drawList(); });
  document.getElementById("list-previous").addEventListener("click", () => { listStart -= PAGE_LENGTH; drawList(); });
  document.getElementById("list-next").addEventListener("click", () => { listStart += PAGE_LENGTH; drawList(); });
  applyFilters();
}
