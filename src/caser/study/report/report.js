// Draws every panel with plotly, in light or dark colours as the reader prefers. Without it the page shows still pictures.
"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const panels = read("panels");
  const palettes = read("palettes");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const narrow = window.matchMedia("(max-width: 40rem)");
  const colourKeys = /color(scale)?$/i;

  // Copies a value, and replaces each "$role" under a key that names a colour by the palette's colour.
  const coloured = (value, palette, isColour = false) => {
    if (Array.isArray(value)) return value.map((one) => coloured(one, palette, isColour));
    if (value && typeof value === "object") {
      const entries = Object.entries(value);
      return Object.fromEntries(entries.map(([key, one]) => [key, coloured(one, palette, colourKeys.test(key))]));
    }
    if (!isColour || typeof value !== "string" || !value.startsWith("$")) return value;
    if (value !== "$heat") return palette[value.slice(1)];
    return [[0, palette["heat-low"]], [0.5, palette["heat-middle"]], [1, palette["heat-high"]]];
  };

  const draw = () => {
    const palette = dark.matches ? palettes.dark : palettes.light;
    for (const [id, panel] of Object.entries(panels)) {
      const element = document.getElementById(id);
      const { data, layout } = coloured(panel, palette);
      if (narrow.matches) layout.xaxis.nticks = 4;
      if (element.clientWidth < 220) layout.height = Math.min(layout.height, 200);
      const traces = data.map((trace) => withLabels(trace, layout, element.clientWidth));
      window.Plotly.react(element, traces, layout, { displayModeBar: false, responsive: !layout.width });
    }
  };

  // Labels have places for several widths of the plot. Takes those of the largest that fits, and gives the plot that width.
  const withLabels = (trace, layout, room) => {
    const { labels } = trace.meta ?? {};
    if (!labels) return trace;
    const { l, r } = layout.margin;
    const { width, ...places } = labels.findLast((one) => one.width + l + r <= room) ?? labels[0];
    layout.width = width + l + r;
    return { ...trace, ...places };
  };

  // A table that is wider than its frame says so, because a phone shows no scrollbar.
  const markWide = () => {
    for (const frame of document.querySelectorAll(".frame")) {
      frame.parentElement.classList.toggle("wide", frame.scrollWidth > frame.clientWidth + 1);
    }
  };

  document.documentElement.classList.add("live");
  if (narrow.matches) for (const one of document.querySelectorAll(".glossary")) one.open = false;
  draw();
  markWide();
  document.addEventListener("toggle", markWide, true);
  let waiting = 0;
  window.addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      draw();
      markWide();
    }, 100);
  });
  dark.addEventListener("change", draw);
  narrow.addEventListener("change", draw);
})();
