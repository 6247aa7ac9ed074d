/**
 * The waiting page's style: one column, dark or light as the reader has it, still for who wants no motion. Its picture is a line
 * with three joints (image, container, answer) that fills from the left. Nothing is set in style attributes: the policy forbids it.
 */
export const WAITING_STYLE = [
  ':root{color-scheme:light dark;--paper:#f6f7f9;--card:#fff;--ink:#1b2230;--soft:#59627a;--line:#dde1e8;--flow:#0b7a75;--bad:#b3261e}',
  '@media (prefers-color-scheme:dark){:root{--paper:#101419;--card:#181d24;--ink:#e9ecf1;--soft:#a2abbb;--line:#3a4351;--flow:#4cc9bd;--bad:#ff8f85}}',
  '*,::before,::after{box-sizing:border-box}p,h1,ol,ul{margin:0;padding:0;list-style:none}p:empty,[hidden]{display:none!important}',
  'body{margin:0;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}main{max-width:38rem;margin:max(1rem,11vh) auto 2rem;padding:0 1rem;overflow-wrap:anywhere}',
  '.card{background:var(--card);border:1px solid var(--line);border-radius:1rem;padding:clamp(1.25rem,5vw,2.5rem);box-shadow:0 12px 32px #00000012}',
  'h1,code{font-family:ui-monospace,monospace}h1{font-size:.95rem;font-weight:500;margin-bottom:.35rem}h1,#detail,#steps,.total,#layers,.foot{color:var(--soft)}',
  '#status{font-size:clamp(1.4rem,5vw,1.75rem);font-weight:650;line-height:1.25}#detail{margin-top:.4rem}#steps,.total{font-size:.875rem}#layers,.foot{font-size:.8125rem}',
  '#steps{display:flex;margin-top:2rem}#steps li{flex:1;position:relative;padding-top:1.5rem}#steps li:last-child{flex:0 0 4rem;text-align:right}',
  '#steps li::before{content:"";position:absolute;left:0;top:0;width:1.1rem;height:1.1rem;border:2px solid var(--line);border-radius:1rem}#steps li:last-child::before{left:auto;right:0}',
  '#steps li::after{content:"";position:absolute;left:1.4rem;right:.3rem;top:.45rem;height:.2rem;border-radius:1rem;background:var(--line)}#steps li:nth-child(2)::after{right:-2.6rem}#steps li:last-child::after{display:none}',
  '#steps [data-state=now],#steps [data-state=failed]{color:var(--ink);font-weight:600}#steps [data-state=done]::before{background:var(--flow)}#steps [data-state=done]::after{background:var(--flow)}',
  '#steps [data-state=done]::before,#steps [data-state=now]::before{border-color:var(--flow)}#steps [data-state=now]::before{animation:pulse 1.6s infinite}#steps [data-state=failed]::before{background:var(--bad);border-color:var(--bad)}',
  '#steps [data-state=now]::after{background:linear-gradient(90deg,#0000,var(--flow),#0000) 0/40% 100% no-repeat var(--line);animation:flow 2s linear infinite}',
  '#pull{margin-top:1.75rem}.total,#layers li{display:flex;gap:.75rem;align-items:center;justify-content:space-between;font-variant-numeric:tabular-nums}.total{margin-bottom:.4rem}',
  'progress{appearance:none;display:block;width:100%;height:.5rem;border:0;border-radius:1rem;overflow:hidden;background:var(--line)}progress::-webkit-progress-bar{background:var(--line)}',
  'progress::-webkit-progress-value{background:var(--flow);border-radius:1rem}progress::-moz-progress-bar{background:var(--flow)}#layers{margin-top:1rem;max-height:40vh;overflow:auto}',
  '#layers{outline-offset:.4rem}#layers li{padding:.2rem 0}#layers progress{flex:1;height:.2rem}#layers span{min-width:7rem;text-align:right}#countdown{margin-top:1.75rem;padding-top:1rem;border-top:1px solid var(--line)}',
  '[data-phase=failed] #status{color:var(--bad)}.foot{margin-top:1rem;text-align:center}.unseen{position:absolute;clip-path:inset(50%)}',
  '@keyframes pulse{50%{box-shadow:0 0 0 .35rem color-mix(in srgb,var(--flow) 22%,#0000)}}@keyframes flow{from{background-position:-80% 0}to{background-position:180% 0}}',
  '@media (prefers-reduced-motion:reduce){*,::before,::after{animation:none!important}}@media (forced-colors:active){progress{appearance:auto}}',
].join('');
