"""The style sheet of the report's page: readable on a phone, dark and light, and on paper."""

from typing import Final

STYLE: Final = """
:root { color-scheme: light dark; --line: #8888; --accent: #b3541e; }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 68rem; padding: 1.5rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0; }
h2 { border-bottom: 2px solid var(--accent); font-size: 1.35rem; margin: 2.5rem 0 .75rem; padding-bottom: .25rem; }
h3 { font-size: 1.05rem; margin: 2rem 0 .25rem; }
p { margin: .25rem 0 .75rem; max-width: 48rem; }
table { border-collapse: collapse; margin: .5rem 0 1rem; width: 100%; }
caption { font-weight: 600; padding: .25rem 0; text-align: start; }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .75rem .35rem 0; text-align: start; }
th, td { overflow-wrap: break-word; vertical-align: top; }
th { font-weight: 600; }
tbody th { font-weight: 400; }
tfoot th, tfoot td { border-bottom: 0; font-weight: 600; }
a { color: inherit; text-decoration-color: var(--accent); text-underline-offset: .2em; }
.n { font-variant-numeric: tabular-nums; text-align: end; white-space: nowrap; width: 1%; }
.n + th, .n + td { padding-inline-start: 1.25rem; }
.t { white-space: nowrap; width: 9.5rem; }
.wide { overflow-x: auto; }
.wide table { min-width: 46rem; table-layout: fixed; }
.wide .n { width: 8.5rem; }
.now { border-inline-start: .25rem solid var(--accent); padding-inline-start: .75rem; }
code { font-size: .9em; overflow-wrap: anywhere; }
@media screen and (max-width: 46rem) {
  body { padding: 1rem; }
  .wide { overflow-x: visible; }
  .wide table { min-width: 0; }
  .wide table, .wide tbody, .wide tr, .wide td, .wide th, .wide caption { display: block; }
  .wide thead { clip-path: inset(50%); height: 1px; overflow: hidden; position: absolute; width: 1px; }
  .wide tr { border-bottom: 1px solid var(--line); display: flex; flex-direction: column; padding: .5rem 0; }
  .wide tr > th { font-weight: 600; order: -1; }
  .wide td, .wide tbody th { border-bottom: 0; padding: .1rem 0; text-align: start; white-space: normal; width: auto; }
  .wide .n { width: auto; }
  .wide td:empty { display: none; }
  .n, .n + .n { padding-inline: .5rem 0; }
  .wide td[data-label]::before { content: attr(data-label) ": "; opacity: .75; }
}
@media print {
  body { font-size: 10pt; max-width: none; padding: 0; }
  .wide table { min-width: 0; }
  a { color: inherit; text-decoration: none; }
  thead { display: table-header-group; }
  tr, h2, h3, p { break-inside: avoid; }
  h2, h3, h3 + p, caption { break-after: avoid; }
}
""".strip()
