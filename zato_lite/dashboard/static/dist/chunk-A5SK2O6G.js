var n=/\.(get|check|validate|why|export|is)[-\w]*$/;function r(e){return n.test(e)}function c({kind:e,data:t}){return e!=="change"||!r(t.service??"")}export{r as a,c as b};
