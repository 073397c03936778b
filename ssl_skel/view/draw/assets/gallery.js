// Clips page by page: searched by name, filtered by facts.

const PER_PAGE = 24;

const inOrder = new Intl.Collator("en", { numeric: true }).compare;

function fillFacts(list, facts) {
  list.replaceChildren();
  for (const [name, value] of Object.entries(facts)) {
    list.append(Object.assign(document.createElement("dt"), { textContent: name }));
    list.append(Object.assign(document.createElement("dd"), { textContent: value }));
  }
}

function nameCard(card, clip) {
  card.querySelector("h3").textContent = clip.name;
  card.querySelector("canvas").setAttribute("aria-label", `Moving skeleton: ${clip.name}`);
  card.querySelector(".enlarge").setAttribute("aria-label", `Full screen: ${clip.name}`);
  fillFacts(card.querySelector("dl"), clip.facts);
}

class Gallery {
  // `numbers` are those of clips in the page, `groups` names of facts to filter by.
  constructor(element, numbers, groups, stage) {
    Object.assign(this, { element, numbers, stage, page: 0, players: [] });
    this.search = element.querySelector("input");
    this.grid = element.querySelector(".grid");
    this.card = element.querySelector("template").content;
    this.selects = this.makeSelects(groups);
    element.querySelector(".filters").hidden = numbers.length < 4;
    const again = () => {
      this.page = 0;
      this.show();
    };
    this.search.addEventListener("input", again);
    for (const select of Object.values(this.selects)) select.addEventListener("change", again);
    for (const button of element.querySelectorAll("[data-page]")) {
      button.addEventListener("click", () => {
        this.page += Number(button.dataset.page);
        this.show();
        element.scrollIntoView();
      });
    }
    this.show();
  }

  // A list for each fact that has several values.
  makeSelects(groups) {
    const selects = {};
    for (const fact of groups) {
      const values = [...new Set(this.numbers.map((number) => this.stage.clips[number].facts[fact]))];
      if (values.length < 2) continue;
      const label = Object.assign(document.createElement("label"), { textContent: `${fact} ` });
      selects[fact] = document.createElement("select");
      selects[fact].append(new Option("all", ""), ...values.filter(Boolean).sort(inOrder).map((value) => new Option(value, value)));
      label.append(selects[fact]);
      this.element.querySelector(".filters").append(label);
    }
    return selects;
  }

  // Show only the clips with these facts, and go on from there by keyboard.
  filter(facts) {
    this.search.value = "";
    for (const [name, select] of Object.entries(this.selects)) select.value = facts[name] ?? "";
    this.page = 0;
    this.show();
    this.element.focus();
    this.element.scrollIntoView();
  }

  chosen() {
    const words = this.search.value.toLowerCase().split(/\s+/);
    const wanted = Object.entries(this.selects).filter(([, select]) => select.value);
    return this.numbers.filter((number) => {
      const { name, facts } = this.stage.clips[number];
      const has = words.every((word) => name.toLowerCase().includes(word));
      return has && wanted.every(([fact, select]) => facts[fact] === select.value);
    });
  }

  show() {
    const found = this.chosen();
    const pages = Math.max(1, Math.ceil(found.length / PER_PAGE));
    this.page = Math.max(0, Math.min(pages - 1, this.page));
    for (const player of this.players) this.stage.remove(player);
    this.grid.replaceChildren();
    this.players = found.slice(this.page * PER_PAGE, (this.page + 1) * PER_PAGE).map((number) => {
      const card = this.card.cloneNode(true).firstElementChild;
      nameCard(card, this.stage.clips[number]);
      this.grid.append(card);
      const canvas = card.querySelector("canvas");
      canvas.dataset.clip = number;
      return this.stage.add(canvas, number);
    });
    const first = this.page * PER_PAGE;
    const shown = found.length ? `${first + 1} to ${first + this.players.length} of ` : "";
    this.element.querySelector("[role=status]").textContent = `${shown}${found.length} clips`;
    this.element.querySelector(".pages").hidden = pages === 1;
    this.element.querySelector(".pages span").textContent = `page ${this.page + 1} of ${pages}`;
    for (const button of this.element.querySelectorAll("[data-page]")) {
      const to = this.page + Number(button.dataset.page);
      button.disabled = to < 0 || to >= pages;
    }
  }
}
