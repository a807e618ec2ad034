// The card beside the avatar: what a response shows.

import { showMap } from "./map.ts";
import type { Card } from "./protocol/messages.ts";

export class CardView {
  private readonly title = document.createElement("h2");
  private readonly text = document.createElement("p");
  private readonly figure = document.createElement("figure");
  private shown: Card | null = null;
  /** The picture or map is on the screen. */
  loaded = false;
  /** The place to mark was found on the map. */
  marked = false;

  constructor(private readonly host: HTMLElement) {
    host.append(this.title, this.text, this.figure);
  }

  show(card: Card | null): void {
    if (card === this.shown) return;
    const before = this.shown;
    this.shown = card;
    this.host.hidden = card === null;
    if (!card) return this.figure.replaceChildren();
    this.title.textContent = card.title;
    this.title.hidden = card.title === "";
    this.text.textContent = card.text;
    this.text.hidden = card.text === "";
    // A question that follows must not make the map flicker.
    if (before && (["picture", "map", "mark", "alt"] as const).every((k) => before[k] === card[k])) return;
    this.draw(card);
  }

  private draw(card: Card): void {
    this.loaded = this.marked = false;
    this.figure.replaceChildren();
    this.figure.hidden = card.picture === "" && card.map === "";
    this.host.dataset["figure"] = String(!this.figure.hidden);
    this.host.dataset["both"] = String(card.picture !== "" && card.map !== "");
    if (card.picture) this.figure.append(this.picture(card));
    if (card.map) this.figure.append(this.map(card));
  }

  private picture(card: Card): HTMLElement {
    const img = document.createElement("img");
    img.alt = card.alt;
    img.onload = () => this.done(card);
    img.onerror = () => this.instead(card, img);
    img.src = new URL(card.picture, location.href).href;
    return img;
  }

  private map(card: Card): HTMLElement {
    const map = document.createElement("div");
    map.className = "map";
    map.role = "img";
    map.ariaLabel = card.alt || card.title;
    showMap(map, new URL(card.map, location.href).href, card.mark).then(
      (marked) => {
        if (card.mark && !marked) console.warn(`map ${card.map} has no element with the id ${card.mark}`);
        if (card === this.shown) this.marked = marked;
        this.done(card);
      },
      (error: unknown) => this.instead(card, map, error),
    );
    return map;
  }

  private done(card: Card): void {
    if (card === this.shown) this.loaded = true;
  }

  /** What cannot be seen is read. */
  private instead(card: Card, figure: HTMLElement, error?: unknown): void {
    console.warn(`screen: ${card.picture || card.map} cannot be shown`, error ?? "");
    const words = document.createElement("figcaption");
    words.textContent = card.alt;
    figure.replaceWith(words);
  }
}
