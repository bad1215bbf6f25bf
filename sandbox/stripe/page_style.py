"""How the hosted pages look."""

CSS = """
:root { --page: #f4f6f9; --panel: #fff; --ink: #1a2233; --soft: #667085; --line: #dfe3ea; --accent: #4f56d3;
  --bad: #b42318; --good: #067647; --tint: #eef0fe; color-scheme: light dark;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
@media (prefers-color-scheme: dark) { :root { --page: #0f131b; --panel: #181e2a; --ink: #eef1f6; --soft: #98a2b3;
  --line: #2a3242; --accent: #8288f5; --bad: #f97066; --good: #47cd89; --tint: #23284a; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: start center; padding: 32px 16px;
  background: var(--page); color: var(--ink); }
main { width: 100%; max-width: 440px; }
.practice { margin: 0 0 16px; padding: 8px 14px; border-radius: 10px; background: var(--tint); font-size: 13.5px; }
section { margin: 0 0 16px; padding: 22px; border: 1px solid var(--line); border-radius: 16px;
  background: var(--panel); }
h1 { margin: 0 0 4px; font-size: 17px; font-weight: 600; } h2 { margin: 0 0 10px; font-size: 15px; }
.amount { margin: 0; font-size: 32px; font-weight: 650; letter-spacing: -.02em; }
.soft, small { color: var(--soft); font-size: 14px; } p { margin: 4px 0; }
.row { display: flex; justify-content: space-between; gap: 12px; padding: 6px 0; }
form { display: grid; gap: 10px; } form + form { margin-top: 10px; }
button { border: 1px solid var(--line); border-radius: 10px; padding: 11px 16px; background: transparent;
  color: inherit; font: inherit; cursor: pointer; min-height: 44px; }
button:hover { border-color: var(--accent); } :focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.main { border-color: var(--accent); background: var(--accent); color: #fff; font-weight: 600; }
@media (prefers-color-scheme: dark) { .main { color: #0f131b; } }
input { border: 1px solid var(--line); border-radius: 10px; padding: 10px 12px; background: transparent;
  color: inherit; font: inherit; width: 100%; }
.error { color: var(--bad); font-weight: 550; } .good { color: var(--good); }
a { color: var(--accent); }
.badge { padding: 1px 9px; border-radius: 99px; background: var(--tint); font-size: 13px; }
"""
