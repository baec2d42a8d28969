// Bland-Altman plots of one model and the table of all; the figures come from the report, by the filters' choice.

function agreementOf(series) {
  const key = [chosen.seed, chosen.fold, chosen.size].join("|");
  return DATA.agreement[key]?.[String(series)];
}

function blandAltman(name) {
  const series = Number(document.getElementById("agreement-series").value);
  const { entry } = DATA.series[series];
  const rows = shownRows(String(series)).filter((row) => IMAGES[name][PREDICTIONS.item[row]] !== null);
  // What was not measured counts as 0, as in the figures.
  const [truth, measured] = [rows.map((row) => IMAGES[name][PREDICTIONS.item[row]]), rows.map((row) => PREDICTIONS[name][row] ?? 0)];
  const traces = [{
    name: plain(DATA.series[series].label), type: "scatter", mode: "markers", showlegend: false,
    x: rows.map((_, place) => (truth[place] + measured[place]) / 2), y: rows.map((_, place) => measured[place] - truth[place]),
    marker: { color: colourOf(entry), size: 6, opacity: 0.6, symbol: rows.map((row) => (PREDICTIONS[name][row] === null ? "x" : SYMBOLS[entry % SYMBOLS.length])) },
    customdata: rows, text: rows.map(hoverText), hovertemplate: "%{y:+.2f} mm at %{x:.1f} mm<br>%{text}<extra></extra>",
  }];
  const [shapes, annotations] = [[], []];
  const found = agreementOf(series)?.[name];
  if (found) {
    [["bias", 2], ["lower", 5], ["upper", 8]].forEach(([what, at]) => {
      const [value, low, high] = found.slice(at, at + 3);
      if (value === null) return;
      const across = { xref: "paper", x0: 0, x1: 1, layer: "below" };
      if (low !== null) shapes.push({ ...across, type: "rect", y0: low, y1: high, fillcolor: css("--soft"), opacity: 0.22, line: { width: 0 } });
      shapes.push({ ...across, type: "line", y0: value, y1: value, line: { color: css("--ink"), width: 1.3, dash: what === "bias" ? "solid" : "dash" } });
      annotations.push({ xref: "paper", x: 1, xanchor: "right", y: value, yanchor: "bottom", showarrow: false, text: value.toFixed(2), font: { size: 11 } });
    });
  }
  const upper = name.toUpperCase();
  return { traces, layout: layout({ title: `${upper}: mean of true and measured, mm` }, { title: "measured − true, mm" }, { shapes, annotations }) };
}

function reasonForNone() {
  const isMade = [chosen.seed, chosen.fold, chosen.size].join("|") in DATA.agreement;
  return isMade ? "No prediction of this choice is on the page." : "For this choice of several filters at once the figures are not on the page; set fewer.";
}

function agreementTable() {
  const interval = (figures, at, decimals) =>
    number(figures[at], decimals) + (figures[at + 1] === null ? "" : ` [${number(figures[at + 1], decimals)}, ${number(figures[at + 2], decimals)}]`);
  const lines = [];
  for (const series of shownSeries()) {
    const found = agreementOf(series);
    if (!found) continue;
    for (const name of LENGTHS) {
      const figures = found[name];
      const line = element("tr");
      line.append(
        element("th", DATA.series[series].label, { scope: "row" }), element("td", name.toUpperCase()),
        element("td", interval(figures, 2, 2)), element("td", interval(figures, 5, 2)), element("td", interval(figures, 8, 2)), element("td", interval(figures, 11, 4)),
        element("td", String(figures[0]) + (figures[1] ? `, ${figures[1]} not measured` : "")),
      );
      lines.push(line);
    }
  }
  document.querySelector("#agreement-table tbody").replaceChildren(...lines);
  document.getElementById("agreement-unknown").textContent = lines.length ? "" : reasonForNone();
}
