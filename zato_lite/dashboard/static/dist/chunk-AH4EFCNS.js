var c=/\.(get|check|validate|why|export|is)[-\w]*$/;function n({kind:e,data:t}){return e!=="change"||!c.test(t.service??"")}export{n as a};
