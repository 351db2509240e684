package lsp

import "encoding/json"

// The part of the Language Server Protocol that is spoken here; names are its own.
type (
	message struct {
		JSONRPC string           `json:"jsonrpc"`
		ID      *json.RawMessage `json:"id,omitempty"`
		Method  string           `json:"method,omitempty"`
		Params  json.RawMessage  `json:"params,omitempty"`
	}
	response struct {
		JSONRPC string           `json:"jsonrpc"`
		ID      *json.RawMessage `json:"id"`
		Result  any              `json:"result"`
	}
	failure struct {
		JSONRPC string           `json:"jsonrpc"`
		ID      *json.RawMessage `json:"id"`
		Error   *rpcError        `json:"error"`
	}
	notification struct {
		JSONRPC string `json:"jsonrpc"`
		Method  string `json:"method"`
		Params  any    `json:"params"`
	}
	rpcError struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}

	position struct {
		Line      int `json:"line"`
		Character int `json:"character"`
	}
	textRange struct {
		Start position `json:"start"`
		End   position `json:"end"`
	}
	location struct {
		URI   string    `json:"uri"`
		Range textRange `json:"range"`
	}
	document struct {
		URI     string `json:"uri"`
		Version int    `json:"version"`
		Text    string `json:"text"`
	}
	openParams struct {
		TextDocument document `json:"textDocument"`
	}
	changeParams struct {
		TextDocument   document `json:"textDocument"`
		ContentChanges []struct {
			Range *textRange `json:"range"`
			Text  string     `json:"text"`
		} `json:"contentChanges"`
	}
	saveParams struct {
		TextDocument document `json:"textDocument"`
		Text         *string  `json:"text"`
	}
	placeParams struct {
		TextDocument document `json:"textDocument"`
		Position     position `json:"position"`
	}
	diagnostic struct {
		Range    textRange `json:"range"`
		Severity int       `json:"severity"`
		Code     string    `json:"code,omitempty"`
		Source   string    `json:"source"`
		Message  string    `json:"message"`
		Tags     []int     `json:"tags,omitempty"`
	}
	published struct {
		URI         string       `json:"uri"`
		Version     int          `json:"version"`
		Diagnostics []diagnostic `json:"diagnostics"`
	}
	textEdit struct {
		Range   textRange `json:"range"`
		NewText string    `json:"newText"`
	}
	markup struct {
		Kind  string `json:"kind"`
		Value string `json:"value"`
	}
	completionItem struct {
		Label         string    `json:"label"`
		Kind          int       `json:"kind"`
		Detail        string    `json:"detail,omitempty"`
		Documentation *markup   `json:"documentation,omitempty"`
		SortText      string    `json:"sortText"`
		FilterText    string    `json:"filterText"`
		TextEdit      *textEdit `json:"textEdit"`
	}
	completionList struct {
		IsIncomplete bool             `json:"isIncomplete"`
		Items        []completionItem `json:"items"`
	}
	hover struct {
		Contents markup    `json:"contents"`
		Range    textRange `json:"range"`
	}
	symbol struct {
		Name           string    `json:"name"`
		Detail         string    `json:"detail,omitempty"`
		Kind           int       `json:"kind"`
		Range          textRange `json:"range"`
		SelectionRange textRange `json:"selectionRange"`
		Children       []symbol  `json:"children,omitempty"`
	}
	serverInfo struct {
		Name    string `json:"name"`
		Version string `json:"version,omitempty"`
	}
	syncOptions struct {
		OpenClose bool `json:"openClose"`
		Change    int  `json:"change"`
		Save      struct {
			IncludeText bool `json:"includeText"`
		} `json:"save"`
	}
	completionOptions struct {
		TriggerCharacters []string `json:"triggerCharacters"`
	}
	capabilities struct {
		PositionEncoding       string            `json:"positionEncoding"`
		TextDocumentSync       syncOptions       `json:"textDocumentSync"`
		CompletionProvider     completionOptions `json:"completionProvider"`
		HoverProvider          bool              `json:"hoverProvider"`
		DefinitionProvider     bool              `json:"definitionProvider"`
		DocumentSymbolProvider bool              `json:"documentSymbolProvider"`
	}
	initialized struct {
		Capabilities capabilities `json:"capabilities"`
		ServerInfo   serverInfo   `json:"serverInfo"`
	}
)

// Codes of errors.
const (
	parseError     = -32700
	methodNotFound = -32601
	invalidParams  = -32602
	internalError  = -32603
	invalidRequest = -32600
	notInitialized = -32002
)
