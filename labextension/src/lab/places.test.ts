import { describe, expect, it } from 'vitest';
import { diskPath, isModelFile, isModelFolder, isScript, modelName, modelPath, workspaceOf } from './places';

const workspace = (id: string, folder: string, more = {}) => ({ workspace: id, title: id, folder, current: false, failure: null, ...more });
const failure = { code: 'x', error: '', cause: '', hint: '' };

describe('files', () => {
  it('knows models by what their libraries write', () => {
    for (const name of ['a.pkl', 'A.PKL', 'net.pt', 'net.onnx', 'w.h5', 'm.keras', 'm.joblib', 'b.ubj', 'MLmodel', 'xgb_model.json', 'lightgbm-model.txt']) expect(isModelFile(name), name).toBe(true);
    for (const name of ['package.json', 'notes.txt', 'data.csv', 'train.py', 'pkl']) expect(isModelFile(name), name).toBe(false);
    expect(isModelFolder(['MLmodel', 'model.pkl'])).toBe(true);
    expect(isModelFolder(['model.pkl'])).toBe(false);
    expect(isScript('score.py')).toBe(true);
  });

  it('registers the folder of an MLmodel file', () => {
    expect(modelPath('runs/1/model/MLmodel')).toBe('runs/1/model');
    expect(modelPath('a/b.pkl')).toBe('a/b.pkl');
  });

  it('makes a name of the path', () => {
    expect(modelName('models/churn v2.pkl')).toBe('churn-v2');
    expect(modelName('models/churn')).toBe('churn');
    expect(modelName('.pkl')).toBe('pkl');
    expect(modelName('é.pkl')).toBe('model');
  });

  it('has no place on the disk for files of other drives', () => {
    expect(diskPath('/home/ada/', 'a/b.pkl')).toBe('/home/ada/a/b.pkl');
    expect(diskPath('/home/ada', 'RTC:a/b.pkl')).toBe('/home/ada/a/b.pkl');
    expect(diskPath('/home/ada', 's3:a/b.pkl')).toBe(null);
  });
});

describe('the workspace of a file', () => {
  it('is the nearest above it', () => {
    const all = [workspace('home', '/home/ada/.mldeploy'), workspace('deep', '/home/ada/x/.mldeploy')];
    expect(workspaceOf(all, '/home/ada', 'x/y/a.pkl')).toBe('deep');
    expect(workspaceOf(all, '/home/ada', 'xy/a.pkl')).toBe('home');
  });

  it('else the current one, else the only one', () => {
    const two = [workspace('one', '/a/.mldeploy'), workspace('two', '/b/.mldeploy', { current: true })];
    expect(workspaceOf(two, '/home', 'a.pkl')).toBe('two');
    expect(workspaceOf([workspace('one', '/a/.mldeploy')], '/home')).toBe('one');
    expect(workspaceOf(two.map((one) => ({ ...one, current: false })), '/home')).toBe('');
    expect(workspaceOf([workspace('one', '/a/.mldeploy', { failure })], '/a')).toBe('');
  });
});
