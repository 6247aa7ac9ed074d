/**
 * The waiting page's style: one column, dark or light as the reader has it, still for who wants no motion. Its picture is a line
 * with three joints (image, container, answer) that fills from the left. Nothing is set in style attributes: the policy forbids it.
 */
export const WAITING_STYLE = [
  ':root{color-scheme:light dark;--paper:#f6f7f9;--card:#fff;--ink:#1b2230;--soft:#59627a;--line:#dde1e8;--flow:#0b7a75;--bad:#b3261e}',
  '@media (prefers-color-scheme:dark){:root{--paper:#101419;--card:#181d24;--ink:#e9ecf1;--soft:#a2abbb;--line:#323a46;--flow:#4cc9bd;--bad:#ff8f85}}',
  '*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}',
  'main{max-width:38rem;margin:max(1rem,11vh) auto 2rem;padding:0 1rem;overflow-wrap:anywhere}',
  '.card{background:var(--card);border:1px solid var(--line);border-radius:1rem;padding:clamp(1.25rem,5vw,2.5rem);box-shadow:0 1px 2px #0001,0 12px 32px #00000012}',
  'h1,code{font-family:ui-monospace,SFMono-Regular,Menlo,monospace}h1{font-size:.95rem;font-weight:500;color:var(--soft);margin:0 0 .35rem}p{margin:0}p:empty{display:none}',
  '#status{font-size:clamp(1.4rem,5vw,1.75rem);font-weight:650;line-height:1.25;letter-spacing:-.01em}#detail{margin-top:.4rem;color:var(--soft)}',
  '#steps{display:flex;list-style:none;margin:2rem 0 0;padding:0;font-size:.875rem}',
  '#steps li{flex:1;position:relative;padding-top:1.6rem;color:var(--soft)}#steps li:last-child{flex:none}',
  '#steps li::before{content:"";position:absolute;left:0;top:.25rem;width:.9rem;height:.9rem;border:2px solid var(--line);border-radius:50%;background:var(--card)}',
  '#steps li:not(:last-child)::after{content:"";position:absolute;left:1.25rem;right:.35rem;top:.58rem;height:.24rem;border-radius:1rem;background:var(--line)}',
  '#steps [data-state=now],#steps [data-state=failed]{color:var(--ink);font-weight:600}',
  '#steps [data-state=done]::before{background:var(--flow);border-color:var(--flow)}#steps [data-state=now]::before{border-color:var(--flow);animation:pulse 1.6s ease-in-out infinite}',
  '#steps [data-state=failed]::before{background:var(--bad);border-color:var(--bad)}#steps [data-state=done]::after{background:var(--flow)}',
  '#steps [data-state=now]::after{background:linear-gradient(90deg,var(--line),var(--flow),var(--line)) 0/50% 100% no-repeat var(--line);animation:flow 1.8s linear infinite}',
  '#pull{margin-top:1.75rem}#pull[hidden]{display:none}.total,#layers li{display:flex;gap:.75rem;align-items:center;justify-content:space-between;font-variant-numeric:tabular-nums}',
  '.total{font-size:.875rem;color:var(--soft);margin-bottom:.4rem}progress{appearance:none;display:block;width:100%;height:.5rem;border:0;border-radius:1rem;overflow:hidden;background:var(--line)}',
  'progress::-webkit-progress-bar{background:var(--line)}progress::-webkit-progress-value{background:var(--flow);border-radius:1rem}progress::-moz-progress-bar{background:var(--flow)}',
  '#layers{list-style:none;margin:1rem 0 0;padding:0;max-height:40vh;overflow:auto;font-size:.8125rem;color:var(--soft)}#layers li{padding:.2rem 0}#layers progress{flex:1;height:.2rem;min-width:2rem}',
  '#layers span{min-width:8.5rem;text-align:right}#countdown{margin-top:1.75rem;padding-top:1rem;border-top:1px solid var(--line);font-variant-numeric:tabular-nums}',
  '[data-phase=failed] #status{color:var(--bad)}.foot{margin:1rem .25rem 0;font-size:.8125rem;color:var(--soft);text-align:center}',
  '.unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}',
  '@keyframes pulse{50%{box-shadow:0 0 0 .35rem color-mix(in srgb,var(--flow) 22%,transparent)}}@keyframes flow{from{background-position:-100% 0}to{background-position:200% 0}}',
  '@media (prefers-reduced-motion:reduce){*{animation:none!important}}@media (forced-colors:active){progress{appearance:auto}#steps li::before{forced-color-adjust:none}}',
].join('');
