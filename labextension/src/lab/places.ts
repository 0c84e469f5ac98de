/** Files of the file browser: what kind they are, where they are on the server's disk, whose workspace is theirs. */
import type { WorkspaceSummary } from '../protocol';

// Files that hold a model, by the libraries that write them.
const MODEL_FILE = /\.(pkl|pickle|joblib|onnx|pt|pth|h5|hdf5|keras|ubj|safetensors|cbm)$/i;
// XGBoost and LightGBM also write JSON and text: recognised by name, since most such files are something else.
const NAMED_MODEL = /(model|xgb|booster|lgbm?|lightgbm).*\.(json|txt)$|\.(xgb|bst)$/i;

/** What a folder contains that is a model as a whole: MLflow's, TensorFlow's. */
const MODEL_FOLDER_MARKS = ['MLmodel', 'saved_model.pb'];

export function isModelFile(name: string): boolean {
  return MODEL_FILE.test(name) || NAMED_MODEL.test(name) || MODEL_FOLDER_MARKS.includes(name);
}

/** Whether files with these names make their folder a model. */
export function isModelFolder(names: readonly string[]): boolean {
  return MODEL_FOLDER_MARKS.some((mark) => names.includes(mark));
}

export function isScript(name: string): boolean {
  return /\.py$/i.test(name);
}

/** What is registered when a file is chosen: the file, or its folder where that is the model. */
export function modelPath(path: string): string {
  const parts = path.split('/');
  return MODEL_FOLDER_MARKS.includes(parts.at(-1)!) ? parts.slice(0, -1).join('/') : path;
}

/** A name for the model at this path: `models/churn v2.pkl` is `churn-v2`. */
export function modelName(path: string): string {
  const file = path.split('/').at(-1) ?? '';
  const stem = file.replace(/(?<=.)\.[^.]+$/, '');
  return stem.replace(/[^A-Za-z0-9_.-]+/g, '-').replace(/^[-_.]+|[-_.]+$/g, '') || 'model';
}

/** A path of the file browser on the server's disk. One of another drive, such as `s3:data.pkl`, has none. */
export function diskPath(root: string, path: string): string | null {
  if (!root) return null; // the server extension is not there
  const [drive, rest] = /^[A-Za-z0-9_-]+:/.test(path) ? [path.split(':', 1)[0]!, path.slice(path.indexOf(':') + 1)] : ['', path];
  if (drive && drive !== 'RTC') return null;
  return `${root.replace(/\/+$/, '')}/${rest.replace(/^\/+/, '')}`;
}

/**
 * The id of the workspace that a file belongs to: the one in the nearest folder above it, else the one that the
 * server was started in, else the only one. `root` is the file browser's folder.
 */
export function workspaceOf(workspaces: readonly WorkspaceSummary[], root: string, path = ''): string {
  const disk = diskPath(root, path) ?? root;
  const readable = workspaces.filter(({ failure }) => !failure);
  const above = readable
    .map((one) => ({ one, folder: one.folder.replace(/\/\.mldeploy\/?$/, '').replace(/\/+$/, '') }))
    .filter(({ folder }) => disk === folder || disk.startsWith(`${folder}/`))
    .sort((a, b) => b.folder.length - a.folder.length)[0];
  return above?.one.workspace ?? readable.find(({ current }) => current)?.workspace ?? (readable.length === 1 ? readable[0]!.workspace : '');
}
