import { waitingView } from './waiting-view.ts';

/**
 * The waiting page's script, the same for every page, so that its hash can stand in the policy. What changes is in the document.
 *
 * It draws what `GET /__proxyapi/wake` tells, and reloads once: when the target is ready, when it is time for another try, or
 * when it has slept for 5 s, since only a page load wakes it. A page that nobody looks at tries nothing again until it is looked
 * at; and it never reloads while pipes cannot be reached, for the browser's own error page would stay for good.
 *
 * - `due`, `listenAt`, `lostAt`: when to reload, when to open the stream again, since when it is broken; Infinity for never.
 * - A failure ends the stream, which is asked again every 10 s: somebody may have mended it. `asleep` after a failure says so;
 *   why it failed is worth reading until the next try.
 * - A stream that is refused (closed: the browser gives up by itself) three times in a row makes it reload: the answer to that
 *   says why. So does one that says nothing in 10 s, as behind a proxy that buffers.
 * - Ready before anything else was told: the reload waits half a second, which bounds how often page and stream can disagree.
 */
export const WAITING_SCRIPT = `(()=>{'use strict'
const viewOf=${source(waitingView)}
const at=id=>document.getElementById(id),say=(id,text)=>at(id).textContent===text||(at(id).textContent=text)
const page=at('page'),now=()=>performance.now(),start=now()
const patience=({phase,retryAfterS})=>phase==='failed'?(retryAfterS??5)*1e3:phase==='asleep'?5e3:Infinity
let message=JSON.parse(at('message').text),due=start+patience(message),listenAt=Infinity,lostAt=Infinity,heard=0,refused=0,most=0,stream
function leave(){
if(!stream)return
stream.close()
stream=null
location.reload()
}
function draw(){
const isLost=now()-lostAt>3e3,failed=message.phase==='failed'
const view=viewOf(failed?{...message,retryAfterS:Math.max(0,(due-now())/1e3)}:message),{step,pull}=view
document.title=view.tab+' · '+at('name').textContent
page.dataset.phase=message.phase
say('status',isLost?'Connection lost':view.status)
say('detail',isLost?'Trying to reach pipes again.':view.detail)
say('countdown',isLost?'':view.countdown);
[...at('steps').children].forEach((item,index)=>{
const state=index<step?'done':index>step?'todo':failed?'failed':'now'
if(item.dataset.state===state)return
item.dataset.state=state
item.lastChild.textContent=state==='done'||state==='failed'?', '+state:''
state==='now'?item.setAttribute('aria-current','step'):item.removeAttribute('aria-current')
})
at('pull').hidden=!pull
if(!pull)return
if(pull.fraction!==null)at('bar').value=most=Math.max(most,pull.fraction)
say('bytes',pull.bytes)
at('layers').replaceChildren(...pull.layers.map(({id,text,fraction})=>{
const row=at('row').content.firstChild.cloneNode(true),[name,bar,state]=row.children
name.textContent=id
bar.value=fraction
state.textContent=text
return row
}))
}
function hear(told){
const before=message.phase,{phase}=told,isNewsless=before==='failed'&&phase==='asleep'
due=Math.min(before===phase||isNewsless?due:Infinity,now()+patience(told))
if(!isNewsless)message=told
heard++
refused=0
draw()
if(phase==='failed'){
stream.close()
listenAt=now()+1e4
}
if(phase==='ready')setTimeout(leave,heard>1?0:500)
}
function listen(){
listenAt=Infinity
stream=new EventSource('/__proxyapi/wake')
stream.onopen=()=>lostAt=Infinity
stream.onmessage=event=>hear(JSON.parse(event.data))
stream.onerror=()=>{
lostAt=Math.min(lostAt,now())
if(stream.readyState!==2)return
if(++refused>3)due=now()
else listenAt=now()+3e3
}
}
function tick(){
if(!stream)return
if(message.phase==='failed'||lostAt<Infinity)draw()
if(now()>listenAt)listen()
if(!heard&&lostAt===Infinity&&now()-start>1e4)due=now()
if(now()>=due&&!document.hidden)leave()
}
listen()
setInterval(tick,500)
document.addEventListener('visibilitychange',tick)
})()`;

/** Its text, without the indentation that only readers need. */
function source(self: (...given: never[]) => unknown): string {
  return self.toString().replace(/\n\s+/g, '\n');
}
