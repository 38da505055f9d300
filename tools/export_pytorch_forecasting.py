#!/usr/bin/env python3
"""Writes the spec.json that forewarn needs beside the weights of a pytorch-forecasting model.

    export_pytorch_forecasting.py MODEL_DIR [--out SPEC.json] [--quantiles 0.1,0.5,0.9]

MODEL_DIR holds model.safetensors (the state dict of a TemporalFusionTransformer) and dataset_parameters.pkl, which is
TimeSeriesDataSet.get_parameters() pickled, or dataset_parameters.json, the same in words. The result goes to
MODEL_DIR/spec.json unless --out says otherwise; `forewarn model import MODEL_DIR --out DIR` takes it from there.

Any Python from 3.8 on will do: nothing is imported from torch, numpy, pandas or pytorch-forecasting. A pickle can name
any function to be run when it is read, so the reader here knows a fixed list of classes and builds inert stand-ins for
them; a pickle that names anything else is refused.
"""
import argparse
import hashlib
import json
import math
import os
import pickle
import struct
import sys

DEFAULT_QUANTILES = [0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98]
SHARED_PREFIXES = {
    'static_variable_selection.prescalers.': 'prescalers.',
    'encoder_variable_selection.prescalers.': 'prescalers.',
    'decoder_variable_selection.prescalers.': 'prescalers.',
    'post_lstm_gate_decoder.': 'post_lstm_gate_encoder.',
    'post_lstm_add_norm_decoder.': 'post_lstm_add_norm_encoder.',
}


class Refused(Exception):
    """The model cannot be described; the text says why."""


# ------------------------------------------------------------------ stand-ins for what a pickle may name
class Thing:
    """An object with attributes, and nothing else."""
    def __init__(self, *args):
        self.args = args

    def __setstate__(self, state):
        if isinstance(state, tuple) and len(state) == 2 and isinstance(state[1], dict):
            state = {**(state[0] or {}), **state[1]}
        self.__dict__.update(state)


class Dtype:
    def __init__(self, kind, *_):
        self.kind, self.order = kind, '<'

    def __setstate__(self, state):
        self.order = state[1] if state[1] in '<>' else '<'

    def unpack(self, raw, count):
        letter, size = self.kind[0], int(self.kind[1:])
        if letter == 'U':
            code = 'utf-32-le' if self.order == '<' else 'utf-32-be'
            return [raw[i * 4 * size:(i + 1) * 4 * size].decode(code).rstrip('\0') for i in range(count)]
        formats = {'f4': 'f', 'f8': 'd', 'i1': 'b', 'i2': 'h', 'i4': 'i', 'i8': 'q', 'u1': 'B', 'u8': 'Q', 'b1': '?'}
        if self.kind not in formats:
            raise Refused(f'an array of type {self.kind} in the dataset parameters')
        return list(struct.unpack(f'{self.order}{count}{formats[self.kind]}', raw))


class Array:
    """numpy.ndarray: its shape and its elements, row after row."""
    def __init__(self, *_):
        self.shape, self.flat = (0,), []

    def __setstate__(self, state):
        _, shape, dtype, fortran, raw = state
        count = math.prod(shape)
        flat = list(raw) if isinstance(raw, list) else dtype.unpack(raw, count)
        if fortran and len(shape) == 2:
            flat = [flat[c * shape[0] + r] for r in range(shape[0]) for c in range(shape[1])]
        self.shape, self.flat = shape, flat


class Frame(Thing):
    """pandas.DataFrame: {index value: {column: value}}."""
    def rows(self):
        blocks, axes = self._mgr.args
        columns, index = (axis_values(a) for a in axes)
        out = {i: {} for i in index}
        for values, placement, _ in (b.args for b in blocks):
            places = range(*placement.indices(len(columns))) if isinstance(placement, slice) else values_of(placement)
            for k, place in enumerate(places):
                for j, i in enumerate(index):
                    out[i][columns[place]] = values.flat[k * len(index) + j]
        return out


def values_of(x):
    return x.flat if isinstance(x, Array) else list(x)


def axis_values(axis):
    _, state = axis.args                            # _new_Index(class, {'data': ..., 'name': ...})
    if 'data' in state:
        return values_of(state['data'])
    return list(range(state['start'], state['stop'], state['step']))


def scalar(dtype, raw):
    return dtype.unpack(raw, 1)[0]


ALLOWED = {('builtins', 'slice'): slice, ('builtins', 'set'): set, ('collections', 'OrderedDict'): dict,
           ('numpy', 'dtype'): Dtype, ('numpy', 'ndarray'): Array, ('pandas.core.frame', 'DataFrame'): Frame,
           ('pandas._libs.internals', '_unpickle_block'): Thing,
           ('pandas.core.internals.managers', 'BlockManager'): Thing,
           ('pandas.core.indexes.base', '_new_Index'): Thing, ('pandas.core.indexes.base', 'Index'): Thing,
           ('pandas.core.indexes.range', 'RangeIndex'): Thing, ('pandas.core.indexes.numeric', 'Int64Index'): Thing,
           ('sklearn.preprocessing._data', 'StandardScaler'): type('StandardScaler', (Thing,), {}),
           ('sklearn.preprocessing._data', 'RobustScaler'): type('RobustScaler', (Thing,), {})}
for core in ('numpy.core.multiarray', 'numpy._core.multiarray'):
    ALLOWED[core, 'scalar'] = scalar
    ALLOWED[core, '_reconstruct'] = lambda *_: Array()
for module in ('pytorch_forecasting.data.encoders', 'pytorch_forecasting.data._encoders'):
    for class_name in ('NaNLabelEncoder', 'GroupNormalizer', 'MultiNormalizer', 'EncoderNormalizer', 'TorchNormalizer'):
        ALLOWED[module, class_name] = type(class_name, (Thing,), {})


class Reader(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in ALLOWED:
            raise Refused(f'the pickle names {module}.{name}, which is not on the list')
        return ALLOWED[module, name]


# ------------------------------------------------------------------ the parameters as plain dicts, as in the .json form
def plain_encoder(e):
    return {'type': 'NaNLabelEncoder', 'add_nan': bool(e.add_nan), 'classes': {str(k): int(v) for k, v in e.classes_.items()}}


def plain_scaler(s):
    if s is None:
        return None
    kind = type(s).__name__
    if kind == 'RobustScaler':
        return {'type': kind, 'center': values_of(s.center_)[0], 'scale': values_of(s.scale_)[0]}
    if kind != 'StandardScaler':
        raise Refused(f'a scaler of type {kind}')
    return {'type': kind, 'mean': values_of(s.mean_)[0], 'scale': values_of(s.scale_)[0]}


def group_names(params_encoders, group):
    """The normaliser's index (codes, or the ids themselves) -> the server's id and code."""
    own = params_encoders.get(group) or params_encoders.get('__group_id__' + group)
    classes = own['classes'] if own else {}
    by_code = {v: k for k, v in classes.items()}
    return lambda key: (str(key), classes.get(str(key))) if isinstance(key, str) else (by_code[int(key)], int(key))


def plain_normalizer(n, encoders):
    kind = type(n).__name__
    if kind == 'MultiNormalizer':
        return {'type': kind, 'normalizers': [plain_normalizer(x, encoders) for x in n.normalizers]}
    out = {'type': kind, 'method': n.method, 'center': bool(n.center), 'transformation': n.transformation}
    if kind == 'EncoderNormalizer':
        return {**out, 'max_length': getattr(n, 'max_length', None)}
    if kind == 'TorchNormalizer':
        return {**out, 'groups': [], 'norm': {'center': float(n.center_), 'scale': float(n.scale_)}}
    if kind != 'GroupNormalizer':
        raise Refused(f'a target normaliser of type {kind}')
    groups = list(getattr(n, '_groups', None) or n.groups or [])
    out.update(groups=groups, scale_by_group=bool(n.scale_by_group))
    if not groups:
        return {**out, 'norm': {k: float(n.norm_[k]) for k in ('center', 'scale')}, 'missing': None}
    if len(groups) > 1 or n.scale_by_group:
        raise Refused('a normaliser over more than one grouping column, or scaled by group')
    name = group_names(encoders, groups[0])
    norm = {}
    for key, row in n.norm_.rows().items():
        server, code = name(key)
        norm[server] = {'code': code, 'center': row['center'], 'scale': row['scale']}
    return {**out, 'norm': norm, 'missing': {k: float(n.missing_[k]) for k in ('center', 'scale')}}


def read_parameters(directory):
    as_json, as_pickle = (os.path.join(directory, 'dataset_parameters.' + e) for e in ('json', 'pkl'))
    if os.path.exists(as_pickle):
        with open(as_pickle, 'rb') as f:
            p = Reader(f).load()
        p = dict(p)
        p['categorical_encoders'] = {k: plain_encoder(e) for k, e in p['categorical_encoders'].items()}
        p['scalers'] = {k: plain_scaler(s) for k, s in p['scalers'].items()}
        p['target_normalizer'] = plain_normalizer(p['target_normalizer'], p['categorical_encoders'])
        return p
    if os.path.exists(as_json):
        with open(as_json) as f:
            return json.load(f)
    raise Refused(f'{directory}: neither dataset_parameters.pkl nor dataset_parameters.json')


# ------------------------------------------------------------------ the spec
def read_shapes(path):
    with open(path, 'rb') as f:
        raw = f.read()
    length = struct.unpack('<Q', raw[:8])[0]
    header = json.loads(raw[8:8 + length])
    header.pop('__metadata__', None)
    return {k: v['shape'] for k, v in header.items()}, hashlib.sha256(raw).hexdigest()


def first_name(name):
    for second, first in SHARED_PREFIXES.items():
        if name.startswith(second):
            return first + name[len(second):]
    return name


def count(shapes, pattern):
    n = 0
    while pattern % n in shapes:
        n += 1
    return n


def variables(p, targets):
    """The lists in the order in which upstream builds them: what it adds by itself comes last in its set."""
    get = lambda k: list(p.get(k) or [])
    static, known = get('static_reals'), get('time_varying_known_reals')
    if p.get('add_relative_time_idx') and 'relative_time_idx' not in known:
        known.append('relative_time_idx')
    if p.get('add_encoder_length') and 'encoder_length' not in static:
        static.append('encoder_length')
    if p.get('add_target_scales'):
        static += [t + e for t in targets for e in ('_center', '_scale') if t + e not in static]
    unknown = get('time_varying_unknown_reals')
    c_static, c_known, c_unknown = (get(k) for k in ('static_categoricals', 'time_varying_known_categoricals',
                                                     'time_varying_unknown_categoricals'))
    return dict(static_categoricals=c_static, static_reals=static, encoder_categoricals=c_known + c_unknown,
                encoder_reals=known + unknown, decoder_categoricals=c_known, decoder_reals=known,
                x_reals=static + known + unknown, x_categoricals=c_static + c_known + c_unknown,
                static_variables=c_static + static, encoder_variables=c_known + c_unknown + known + unknown,
                decoder_variables=c_known + known)


def vocabulary(name, encoders, shapes):
    if name not in encoders:
        raise Refused(f'no encoder for {name}')
    classes = sorted(encoders[name]['classes'].items(), key=lambda kv: kv[1])
    nan = bool(encoders[name]['add_nan'])
    return {'classes': [k for k, _ in classes], 'unknown_index': 0 if nan else None, 'padding_idx': 0 if nan else None,
            'embedding_size': shapes[f'input_embeddings.embeddings.{name}.weight'][1]}


def find_quantiles(wanted, n):
    if wanted:
        found = [float(q) for q in wanted.split(',')]
    elif n == len(DEFAULT_QUANTILES):
        found = DEFAULT_QUANTILES
    else:
        raise Refused(f'the output has {n} quantiles; name them with --quantiles')
    if len(found) != n:
        raise Refused(f'the output has {n} quantiles, --quantiles names {len(found)}')
    return found


def dims(p, shapes, n_targets):
    hidden = shapes['multihead_attn.w_h.weight'][0]
    sizes = {k[len('prescalers.'):-len('.weight')]: s[0] for k, s in ((first_name(k), s) for k, s in shapes.items())
             if k.startswith('prescalers.') and k.endswith('.weight')}
    common = max(set(sizes.values()), key=list(sizes.values()).count) if sizes else hidden
    output = shapes.get('output_layer.weight') or shapes['output_layer.0.weight']
    return dict(hidden_size=hidden, attention_heads=count(shapes, 'multihead_attn.q_layers.%d.weight'),
                lstm_layers=count(shapes, 'lstm_encoder.weight_ih_l%d'), hidden_continuous_size=common,
                hidden_continuous_sizes={k: s for k, s in sizes.items() if s != common}, causal_attention=True,
                mask_bias=-1e9, max_encoder_length=p['max_encoder_length'], min_encoder_length=p['min_encoder_length'],
                max_prediction_length=p['max_prediction_length'], n_targets=n_targets,
                output_size=output[0] if n_targets == 1 else [output[0]] * n_targets), output[0]


def make_spec(directory, wanted_quantiles):
    p = read_parameters(directory)
    shapes, digest = read_shapes(os.path.join(directory, 'model.safetensors'))
    for key in ('variable_groups', 'lags'):
        if p.get(key):
            raise Refused(f'{key} are not supported')
    if isinstance(p.get('target_normalizer'), str) or p.get('target_normalizer') is None:
        raise Refused('the target normaliser was not fitted')
    targets = p['target'] if isinstance(p['target'], list) else [p['target']]
    encoders, groups = p['categorical_encoders'], list(p['group_ids'])
    size, n_quantiles = dims(p, shapes, len(targets))
    lists = variables(p, targets)
    table, parameters, counted = [], 0, set()
    for name, shape in shapes.items():
        alias = first_name(name)
        table.append({'name': name, 'shape': shape, **({'alias_of': alias} if alias != name else {})})
        if alias not in counted:                      # a shared parameter counts once, whichever name was kept
            counted.add(alias)
            parameters += math.prod(shape)
    spec = dict(format_version=1, name=os.path.basename(os.path.normpath(directory)), weights_sha256=digest, dims=size,
                quantiles=find_quantiles(wanted_quantiles, n_quantiles), targets=targets, **lists,
                categoricals={c: vocabulary(c, encoders, shapes) for c in lists['x_categoricals']},
                scalers={k: p['scalers'].get(k) for k in lists['x_reals'] if k not in targets},
                target_normalizer=p['target_normalizer'], output_scale='shifted', group_ids=groups,
                group_encoders={k: e for k, e in encoders.items() if k in groups or k.startswith('__group_id__')},
                parameters=table)
    mapping = os.path.join(directory, 'server_mapping.json')
    if os.path.exists(mapping):
        with open(mapping) as f:
            spec['group_names'] = json.load(f).get('name_to_id', {})
    spec['n_parameters'] = parameters
    return spec


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('directory')
    parser.add_argument('--out', help='where to write the spec (default: spec.json in the directory)')
    parser.add_argument('--quantiles', help='the levels of the loss, when they are not the default seven')
    args = parser.parse_args()
    try:
        spec = make_spec(args.directory, args.quantiles)
    except (Refused, OSError, pickle.UnpicklingError, KeyError, ValueError, AttributeError) as e:
        sys.exit(f'export_pytorch_forecasting: {args.directory}: {type(e).__name__}: {e}')
    with open(args.out or os.path.join(args.directory, 'spec.json'), 'w') as f:
        json.dump(spec, f, indent=1)
        f.write('\n')


if __name__ == '__main__':
    main()
