// Types of vendor.js, for tsc; not served.
import type { VNode } from "preact";
export { h, render, Fragment, createContext } from "preact";
export { useState, useEffect, useLayoutEffect, useRef, useMemo, useCallback, useContext, useId } from "preact/hooks";
export { signal, computed, effect, batch, untracked, useSignal, useComputed, useSignalEffect } from "@preact/signals";
export type { Signal, ReadonlySignal } from "@preact/signals";
export type { VNode, ComponentChildren } from "preact";
export declare const html: (strings: TemplateStringsArray, ...values: any[]) => VNode;
