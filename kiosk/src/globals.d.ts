// What the DOM library does not declare: the global scope of an AudioWorklet
// (https://www.w3.org/TR/webaudio/#AudioWorkletGlobalScope) and text imports.

declare const sampleRate: number;
declare const currentTime: number;

declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}

declare function registerProcessor(name: string, processor: new () => AudioWorkletProcessor): void;

declare module "*.svg" {
  const text: string;
  export default text;
}
