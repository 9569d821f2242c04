for (const box of document.querySelectorAll(".selection")) {
  const panels = [...box.querySelectorAll(".reads")];
  const slider = box.querySelector("input"), position = box.querySelector("output");
  slider.parentNode.hidden = false;
  const show = (query) => {
    position.value = query;
    slider.value = query;
    for (const panel of panels) {
      const tokens = panel.querySelector(".context").children;
      const { m, r } = tokens[query].dataset;
      for (let i = 0; i < tokens.length; i++) {
        tokens[i].className = i == query ? "q" : i > query ? "f" : "m" + m[i];
      }
      panel.querySelector("b").textContent = r;
      const text = tokens[query].parentNode;
      const below = tokens[query].offsetTop - text.offsetTop - text.scrollTop;
      if (below < 0 || below > text.clientHeight - 30) text.scrollTop += below - text.clientHeight + 60;
    }
  };
  show(+slider.value);
  slider.oninput = () => show(+slider.value);
  box.onclick = (event) => {
    const token = event.target.closest(".context i[data-m]");
    if (token) show([...token.parentNode.children].indexOf(token));
  };
}
