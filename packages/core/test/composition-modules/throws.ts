/** A module that cannot be imported, as its code fails. */
throw new Error('the licence has run out');
