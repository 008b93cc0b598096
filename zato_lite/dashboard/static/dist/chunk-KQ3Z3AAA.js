import{Ia as t}from"./chunk-LP3AWLVL.js";var i=15e4;function r(e,n){return n-(t(e.seen)??n)>i}export{r as a};
