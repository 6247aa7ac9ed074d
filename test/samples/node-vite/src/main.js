document.querySelector('#root').textContent = 'hello';
