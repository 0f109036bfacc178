// Package assets holds the tests of what the desktop programs bring besides
// code: icons, menu entry, metainfo and manual page.
//
// They guarantee that each is valid to the tools which read it, that all of
// them say the same name, version and pages, that every icon which a program
// names is one of ours, since a theme may lack any other, and that GTK can give
// each symbolic icon the colour of the text beside it.
package assets
